// What is written: raw anomaly maps, the table of scores, and the summary.
#pragma once

#include <png.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

// A line of scores.csv; error is empty where the image was scored.
struct Row {
    std::string file;
    float score = 0;
    bool anomalous = false;
    std::size_t width = 0;
    std::size_t height = 0;
    double ms = 0;
    std::string error;
};

namespace writing {

using Bytes = std::vector<std::uint8_t>;

struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
};

struct PngWriter {
    png_structp png = nullptr;
    png_infop info = nullptr;

    PngWriter() {
        png = png_create_write_struct(
            PNG_LIBPNG_VER_STRING, nullptr, [](png_structp at, png_const_charp) { png_longjmp(at, 1); },
            nullptr);
        info = png ? png_create_info_struct(png) : nullptr;
        if (!info) {
            png_destroy_write_struct(&png, nullptr);
            throw std::bad_alloc();
        }
        png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // pictures of line cameras are long
    }
    ~PngWriter() { png_destroy_write_struct(&png, &info); }
    PngWriter(const PngWriter&) = delete;
    PngWriter& operator=(const PngWriter&) = delete;
};

struct Range {
    double lo;
    double hi;
};

// Rounds half to even, as Python does.
inline void fill_row(Bytes& row, const float* values, const Range& range) {
    const double scale = range.hi > range.lo ? 65535.0 / (range.hi - range.lo) : 0.0;
    for (std::size_t i = 0; i < row.size() / 2; ++i) {
        const auto step = static_cast<unsigned>(std::nearbyint((values[i] - range.lo) * scale));
        row[2 * i] = static_cast<std::uint8_t>(step >> 8U);
        row[2 * i + 1] = static_cast<std::uint8_t>(step & 255U);
    }
}

inline bool write_png(PngWriter& writer, std::FILE* file, const std::vector<float>& values,
                      const Range& range, Bytes& row, std::string& text) {
    if (setjmp(png_jmpbuf(writer.png)))
        return false;
    const std::size_t width = row.size() / 2;
    const std::size_t height = values.size() / width;
    png_init_io(writer.png, file);
    png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height),
                 16, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    // the lower byte is noise, which no compression makes small
    png_set_compression_level(writer.png, 0);
    png_set_filter(writer.png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
    char keyword[] = "curate:range";
    png_text chunk{};
    chunk.compression = PNG_TEXT_COMPRESSION_NONE;
    chunk.key = keyword;
    chunk.text = text.data();
    png_set_text(writer.png, writer.info, &chunk, 1);
    png_write_info(writer.png, writer.info);
    for (std::size_t at = 0; at < values.size(); at += width) {
        fill_row(row, values.data() + at, range);
        png_write_row(writer.png, row.data());
    }
    png_write_end(writer.png, nullptr);
    return true;
}

inline std::string quoted(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos)
        return text;
    std::string found = "\"";
    for (const char letter : text) found += letter == '"' ? std::string("\"\"") : std::string(1, letter);
    return found + "\"";
}

// The shortest text that reads back as the same number.
template <typename Number>
inline std::string shortest(Number value) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    return {text.data(), end};
}

inline std::string rounded(double value, int n_digits) {
    std::array<char, 64> text{};
    const auto end =
        std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, n_digits).ptr;
    return {text.data(), end};
}

// The value below which a share of the sorted values lies, between two of them where it falls so.
inline double quantile(const std::vector<double>& sorted, double share) {
    const double place = share * static_cast<double>(sorted.size() - 1);
    const auto low = static_cast<std::size_t>(place);
    const auto high = std::min(low + 1, sorted.size() - 1);
    return sorted[low] + (sorted[high] - sorted[low]) * (place - static_cast<double>(low));
}

// The most memory that was in use so far, as Linux counts it; 0 where that is not told. Not from getrusage,
// which counts the process that started this one as well.
inline long peak_rss_bytes() {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        long kilobytes = 0;
        if (word == "VmHWM:" && status >> kilobytes)
            return kilobytes * 1024;
    }
    return 0;
}

}  // namespace writing

// Writes a map, rows from the top, as a 16-bit grey PNG whose text "curate:range" holds the range lo and hi;
// pixel q stands for lo + q * (hi - lo) / 65535. The file appears whole or not at all.
// Throws std::invalid_argument for values that are not finite, std::runtime_error when it cannot be written.
inline void write_raw_map(const std::filesystem::path& path, const std::vector<float>& values,
                          std::size_t width, std::size_t height) {
    if (values.empty() || values.size() != width * height)
        throw std::invalid_argument("Expected a map of " + std::to_string(width) + " x " +
                                    std::to_string(height) + " values, found " +
                                    std::to_string(values.size()) + ".");
    if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
        throw std::invalid_argument("Expected a finite map, found NaN or infinity in it.");
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    const writing::Range range{*least, *most};
    auto text = writing::shortest(range.lo) + " " + writing::shortest(range.hi);
    writing::Bytes row(2 * width);
    auto partial = path;
    partial += ".partial";
    writing::PngWriter writer;
    std::unique_ptr<std::FILE, writing::Closer> file(std::fopen(partial.c_str(), "wb"));
    const bool written = file && writing::write_png(writer, file.get(), values, range, row, text);
    // closing writes what is left, so it can fail as well
    if (!written || std::fclose(file.release()) != 0) {
        const auto reason = std::generic_category().message(errno);
        std::error_code ignored;
        std::filesystem::remove(partial, ignored);
        throw std::runtime_error(path.string() + " cannot be written (" + reason +
                                 "). Check the disk and the folder.");
    }
    std::filesystem::rename(partial, path);
}

// Writes scores.csv; it appears whole or not at all. Throws std::runtime_error when it cannot be written.
inline void write_csv(const std::filesystem::path& path, const std::vector<Row>& rows) {
    auto partial = path;
    partial += ".partial";
    std::ofstream file(partial, std::ios::binary);
    file << "file,score,anomalous,width,height,ms,error\n";
    for (const auto& row : rows) {
        file << writing::quoted(row.file) << ',';
        if (row.error.empty())
            file << writing::shortest(row.score) << ',' << (row.anomalous ? "true" : "false") << ','
                 << row.width << ',' << row.height << ',' << writing::rounded(row.ms, 3) << ",\n";
        else
            file << ",,,,," << writing::quoted(row.error) << '\n';
    }
    file.close();
    if (!file)
        throw std::runtime_error(path.string() + " cannot be written. Check the disk and the folder.");
    std::filesystem::rename(partial, path);
}

// A text as JSON has it.
inline std::string json_text(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            out += '\\';
        out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
    return out + '"';
}

// Bytes of the files in a folder.
inline std::uintmax_t folder_bytes(const std::filesystem::path& folder) {
    std::uintmax_t n_bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.is_regular_file())
            n_bytes += entry.file_size();
    return n_bytes;
}

// What a run took, as a line of JSON that "curate cost --add" takes; of the images that were scored.
inline std::string summary(const std::filesystem::path& model, const std::vector<Row>& rows, double seconds) {
    std::vector<double> ms;
    for (const auto& row : rows)
        if (row.error.empty())
            ms.push_back(row.ms);
    std::sort(ms.begin(), ms.end());
    const auto latency = [&ms](double share) {
        return ms.empty() ? "null" : writing::rounded(writing::quantile(ms, share), 3);
    };
    return "{\"name\": " + json_text("C++, " + std::filesystem::absolute(model).filename().string()) +
           ", \"n_streamed\": " + std::to_string(ms.size()) + ", \"images_per_s\": " + writing::rounded(static_cast<double>(ms.size()) / seconds, 3) +
           ", \"latency_ms_p50\": " + latency(0.5) + ", \"latency_ms_p95\": " + latency(0.95) +
           ", \"peak_rss_bytes\": " + std::to_string(writing::peak_rss_bytes()) +
           ", \"state_bytes\": " + std::to_string(folder_bytes(model)) + "}";
}
