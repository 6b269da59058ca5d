// Scores a folder of images with an exported detector: score_folder MODEL_DIR IMAGE_DIR OUT_DIR; see
// README.md.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "images.hpp"
#include "results.hpp"
#include "scorer.hpp"

namespace fs = std::filesystem;

namespace {

constexpr int done = 0;
constexpr int bad_data = 1;
constexpr int wrong_usage = 2;
constexpr int most_threads = 1024;
constexpr const char* usage =
    "Usage: score_folder MODEL_DIR IMAGE_DIR OUT_DIR [--threads N] [--streams N] [--overwrite]\n"
    "\n"
    "Scores the PNG and JPEG files of IMAGE_DIR with the detector exported to MODEL_DIR. OUT_DIR gets\n"
    "scores.csv and maps/FILE.png, a raw map of each image.\n"
    "\n"
    "  --threads N   processor threads for all streams together; as OpenVINO finds best when left out\n"
    "  --streams N   images that are scored at the same time; 2 when left out\n"
    "  --overwrite   replace the scores and maps that OUT_DIR holds\n";

struct Arguments {
    fs::path model, images, out;
    int n_threads = 0;
    int n_streams = 2;
    bool overwrite = false;
};

class WrongUsage : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

int positive(const std::string& option, std::string_view text) {
    int value = 0;
    const auto end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end || value < 1 || value > most_threads)
        throw WrongUsage("Expected a number from 1 to " + std::to_string(most_threads) + " after " + option +
                         ", found \"" + std::string(text) + "\".");
    return value;
}

Arguments parsed(const std::vector<std::string>& words) {
    Arguments found;
    std::vector<fs::path> folders;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const auto& word = words[i];
        if (word == "--threads" || word == "--streams") {
            const auto value = positive(word, i + 1 < words.size() ? words[i + 1] : "");
            (word == "--threads" ? found.n_threads : found.n_streams) = value;
            ++i;
        } else if (word == "--overwrite") {
            found.overwrite = true;
        } else if (word.rfind("--", 0) == 0) {
            throw WrongUsage("There is no option " + word + ".");
        } else {
            folders.emplace_back(word);
        }
    }
    if (folders.size() != 3)
        throw WrongUsage("Expected 3 folders, found " + std::to_string(folders.size()) + ".");
    found.model = folders[0];
    found.images = folders[1];
    found.out = folders[2];
    return found;
}

std::vector<fs::path> image_files(const fs::path& folder) {
    if (!fs::is_directory(folder))
        throw std::runtime_error("Expected a folder of images, but " + folder.string() +
                                 " is none. Check the path.");
    std::vector<fs::path> found;
    std::size_t n_others = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (is_image_name(entry.path()))
            found.push_back(entry.path());
        else
            ++n_others;
    }
    if (n_others > 0)
        std::cerr << "Files and folders passed over, since they end in neither .png, .jpg nor .jpeg: "
                  << n_others << ".\n";
    if (found.empty())
        throw std::runtime_error("Expected PNG or JPEG files in " + folder.string() +
                                 ", found none. Folders inside of it are not entered.");
    std::sort(found.begin(), found.end());
    return found;
}

// Makes the folder, and removes the table of an earlier run: a table speaks for the maps beside it.
void prepare_out(const Arguments& arguments) {
    const auto table = arguments.out / "scores.csv";
    if (fs::exists(table) && !arguments.overwrite)
        throw std::runtime_error("Expected a new folder, found " + table.string() +
                                 ". Choose another one, or add --overwrite.");
    fs::create_directories(arguments.out / "maps");
    fs::remove(table);
}

// Images on their way through the model: one is decoded while those before it are scored.
class Run {
public:
    Run(Scorer& scorer, fs::path maps)
        : scorer_(scorer), maps_(std::move(maps)), waiting_(scorer.n_slots()) {}

    void add(const fs::path& path) {
        const auto index = rows_.size();
        rows_.emplace_back().file = path.filename().string();
        fs::remove(map_path(index));
        Image image;
        const auto begun = Clock::now();
        try {
            image = read_image(path);
        } catch (const std::exception& error) {
            return fail(index, error);
        }
        const auto decode_time = Clock::now() - begun;
        const auto place = next_++ % waiting_.size();
        const auto earlier = collect(place);
        try {
            const auto started = Clock::now();
            scorer_.slot(place).start(std::move(image));
            waiting_[place] = Waiting{index, started - decode_time};
        } catch (const std::exception& error) {
            fail(index, error);
        }
        store(earlier);  // only now, so that the slot does not stand still meanwhile
    }

    std::vector<Row> finish() {
        for (std::size_t i = 0; i < waiting_.size(); ++i) store(collect(next_++ % waiting_.size()));
        return std::move(rows_);
    }

private:
    struct Waiting {
        std::size_t index;
        Clock::time_point begun;  // as if the image had not waited between its decoding and its scoring
    };
    using Found = std::optional<std::pair<std::size_t, Answer>>;

    fs::path map_path(std::size_t index) const { return maps_ / (rows_[index].file + ".png"); }

    // Frees a slot; nothing when it was free, or when its image could not be scored.
    Found collect(std::size_t place) {
        const auto waiting = std::exchange(waiting_[place], std::nullopt);
        if (!waiting)
            return std::nullopt;
        try {
            auto answer = scorer_.slot(place).finish();
            const std::chrono::duration<double, std::milli> taken = answer.finished - waiting->begun;
            rows_[waiting->index].ms = taken.count();
            return std::pair(waiting->index, std::move(answer));
        } catch (const std::exception& error) {
            fail(waiting->index, error);
            return std::nullopt;
        }
    }

    void store(const Found& found) {
        if (!found)
            return;
        const auto& [index, answer] = *found;
        try {
            write_raw_map(map_path(index), answer.map, answer.width, answer.height);
        } catch (const std::invalid_argument& error) {
            return fail(index, error);
        }
        auto& row = rows_[index];
        row.score = answer.score;
        row.anomalous = answer.anomalous;
        row.width = answer.width;
        row.height = answer.height;
    }

    void fail(std::size_t index, const std::exception& error) {
        const bool full = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
        auto& row = rows_[index];
        row.error =
            full ? "The memory is too small for this image. Use fewer streams, or cut it up." : error.what();
        std::cerr << row.file << ": " << row.error << '\n';
    }

    Scorer& scorer_;
    fs::path maps_;
    std::vector<Row> rows_;
    std::vector<std::optional<Waiting>> waiting_;
    std::size_t next_ = 0;
};

int score_folder(const Arguments& arguments) {
    const auto files = image_files(arguments.images);
    Scorer scorer(arguments.model, arguments.n_threads, arguments.n_streams);
    prepare_out(arguments);
    const auto begun = Clock::now();
    Run run(scorer, arguments.out / "maps");
    for (const auto& file : files) run.add(file);
    const auto rows = run.finish();
    const std::chrono::duration<double> taken = Clock::now() - begun;
    write_csv(arguments.out / "scores.csv", rows);
    std::cout << summary(arguments.model, rows, taken.count()) << '\n';
    const bool whole =
        std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.error.empty(); });
    return whole ? done : bad_data;
}

}  // namespace

int main(int n_words, char** words) {
    try {
        const std::vector<std::string> given(words + 1, words + n_words);
        if (std::find(given.begin(), given.end(), "--help") != given.end()) {
            std::cout << usage;
            return done;
        }
        return score_folder(parsed(given));
    } catch (const WrongUsage& error) {
        std::cerr << error.what() << "\n\n" << usage;
        return wrong_usage;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return bad_data;
    }
}
