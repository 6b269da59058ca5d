// An exported detector, and a queue of requests to it.
#pragma once

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <openvino/openvino.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "images.hpp"

using Clock = std::chrono::steady_clock;

// What the model says of an image.
struct Answer {
    float score = 0;
    bool anomalous = false;
    std::vector<float> map;  // one value a pixel, rows from the top
    std::size_t width = 0;
    std::size_t height = 0;
    Clock::time_point finished;
};

// One request; it holds an image from start to finish.
class Slot {
public:
    explicit Slot(ov::CompiledModel& model) : request_(model.create_infer_request()) {
        request_.set_callback([this](const std::exception_ptr&) { finished_ = Clock::now(); });
    }

    // The pixels must be there until the request has read them.
    ~Slot() {
        try {
            request_.wait();
        } catch (const std::exception&) {  // nobody asks for this answer
        }
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

    // Begins to score and returns at once. The slot must be free.
    void start(Image&& image) {
        image_ = std::move(image);
        const ov::Shape shape{1, image_.height, image_.width, 3};
        request_.set_tensor("image", ov::Tensor(ov::element::u8, shape, image_.pixels.data()));
        request_.start_async();
    }

    // Waits until the model has answered. Throws ov::Exception or std::runtime_error where it could not.
    Answer finish() {
        request_.wait();
        const auto map = request_.get_tensor("map");
        if (map.get_shape() != ov::Shape{1, image_.height, image_.width})
            throw std::runtime_error(
                "Expected a map of the image's size, found another. Export the model again.");
        Answer answer;
        answer.score = request_.get_tensor("score").data<float>()[0];
        answer.anomalous = static_cast<const char*>(request_.get_tensor("anomalous").data())[0] != 0;
        answer.map.assign(map.data<float>(), map.data<float>() + map.get_size());
        answer.width = image_.width;
        answer.height = image_.height;
        answer.finished = finished_;
        if (!std::isfinite(answer.score))
            throw std::runtime_error(
                "Expected a finite score, found NaN or infinity. Fit and export the model again.");
        return answer;
    }

private:
    ov::InferRequest request_;
    Image image_;
    std::atomic<Clock::time_point> finished_{Clock::time_point{}};
};

// The model from a folder, compiled for this processor, and its slots.
class Scorer {
public:
    // n_threads: of the processor, for all streams together; 0 takes what OpenVINO finds best.
    // n_streams: images that are scored at the same time, 1 or more.
    // Throws std::runtime_error when the folder holds no exported detector.
    Scorer(const std::filesystem::path& folder, int n_threads, int n_streams) {
        const auto file = model_file(folder);
        const auto model = core_.read_model(file.string());
        check(*model, file);
        // 32 bits, so that scores equal those in Python also where the processor could do with fewer
        ov::AnyMap settings{ov::hint::inference_precision(ov::element::f32), ov::num_streams(n_streams)};
        if (n_threads > 0)
            settings.insert(ov::inference_num_threads(n_threads));
        auto compiled = core_.compile_model(model, "CPU", settings);
        for (int i = 0; i < n_streams; ++i) slots_.push_back(std::make_unique<Slot>(compiled));
    }

    std::size_t n_slots() const { return slots_.size(); }
    Slot& slot(std::size_t i) { return *slots_[i]; }

private:
    static std::filesystem::path model_file(const std::filesystem::path& folder) {
        for (const auto* name : {"model.xml", "model.onnx"})
            if (std::filesystem::is_regular_file(folder / name))
                return folder / name;
        throw std::runtime_error("Expected model.xml or model.onnx in " + folder.string() +
                                 ", found neither. Make it with \"curate export-model\".");
    }

    static void check(const ov::Model& model, const std::filesystem::path& file) {
        const auto has = [](const std::vector<ov::Output<const ov::Node>>& ports, const std::string& name,
                            const ov::element::Type& type, std::int64_t rank) {
            for (const auto& port : ports)
                if (port.get_names().count(name) != 0)
                    return port.get_element_type() == type &&
                           port.get_partial_shape().rank().compatible(rank);
            return false;
        };
        const bool fits = has(model.inputs(), "image", ov::element::u8, 4) &&
                          has(model.outputs(), "score", ov::element::f32, 1) &&
                          has(model.outputs(), "map", ov::element::f32, 3) &&
                          has(model.outputs(), "anomalous", ov::element::boolean, 1);
        if (fits)
            return;
        std::string found;
        for (const auto& ports : {model.inputs(), model.outputs()})
            for (const auto& port : ports)
                found += " " + (port.get_names().empty() ? "(no name)" : port.get_any_name()) + " " +
                         port.get_element_type().get_type_name() + port.get_partial_shape().to_string();
        throw std::runtime_error(
            "Expected the input image u8[1,H,W,3] and the outputs score f32[1], map f32[1,H,W], "
            "anomalous boolean[1]; found in " +
            file.string() + ":" + found + ". Export the model again with \"curate export-model\".");
    }

    ov::Core core_;
    std::vector<std::unique_ptr<Slot>> slots_;
};
