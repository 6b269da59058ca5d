// Decodes PNG and JPEG files.
#pragma once

#include <png.h>

#include <cstdio>  // jpeglib.h needs it
// jerror.h needs jpeglib.h
#include <jpeglib.h>

#include <jerror.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

using Bytes = std::vector<std::uint8_t>;

// Pixels as the model takes them: rows from the top, each pixel red, green, blue, 8 bits each.
struct Image {
    std::size_t width = 0;
    std::size_t height = 0;
    Bytes pixels;
};

// A file that cannot be used; says what was expected, what was found, and what to do.
class BadImage : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

namespace decoding {

inline constexpr std::size_t max_pixels = std::size_t{1} << 30;
// the most pixels that a byte can stand for: few bytes must not claim a memory full of pixels
inline constexpr std::size_t png_pixels_per_byte = 8 * 1100;
inline constexpr std::size_t jpeg_pixels_per_byte = 512;
inline constexpr std::size_t signature_length = 8;
inline constexpr const char* copy_again = "Copy the file again, or remove it.";

inline Bytes read_file(const std::filesystem::path& path) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status))
        throw BadImage(
            "Expected an image file, but it does not exist. Restore it, or remove what points to it.");
    if (!std::filesystem::is_regular_file(status))
        throw BadImage("Expected an image file, found a folder or a device. Rename or remove it.");
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file)
        throw BadImage("The file cannot be opened (" + std::generic_category().message(errno) +
                       "). Give yourself read permission.");
    const auto n_bytes = static_cast<std::streamsize>(file.tellg());
    if (n_bytes == 0)
        throw BadImage(std::string("Expected an image file, found 0 bytes. ") + copy_again);
    Bytes content(static_cast<std::size_t>(n_bytes));
    file.seekg(0);
    if (!file.read(reinterpret_cast<char*>(content.data()), n_bytes))
        throw BadImage("The file cannot be read to its end. Check the disk.");
    return content;
}

inline void check_claims(std::size_t width, std::size_t height, std::size_t n_bytes,
                         std::size_t pixels_per_byte) {
    const auto claimed = std::to_string(width) + " x " + std::to_string(height) + " pixels";
    if (width == 0 || height == 0 || width > max_pixels / height)
        throw BadImage("Expected 1 to " + std::to_string(max_pixels) + " pixels, found " + claimed +
                       ". Cut the picture into pieces.");
    if (width * height / pixels_per_byte > n_bytes)
        throw BadImage("The file claims " + claimed + ", which its " + std::to_string(n_bytes) +
                       " bytes cannot hold. " + copy_again);
}

// Both libraries report an error by a jump over their own frames back to setjmp. Whatever owns memory is
// therefore made before setjmp, by the caller, and nothing with a destructor is alive in between.

struct PngReader {
    png_structp png = nullptr;
    png_infop info = nullptr;
    const Bytes& content;
    std::size_t at = 0;
    std::array<char, 200> message{};
    std::vector<png_bytep> rows;

    explicit PngReader(const Bytes& bytes) : content(bytes) {
        png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, fail, [](png_structp, png_const_charp) {});
        info = png ? png_create_info_struct(png) : nullptr;
        if (!info) {
            png_destroy_read_struct(&png, nullptr, nullptr);
            throw std::bad_alloc();
        }
        png_set_read_fn(png, this, read);
        png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // check_claims has a limit of its own
    }
    ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
    PngReader(const PngReader&) = delete;
    PngReader& operator=(const PngReader&) = delete;

    static void fail(png_structp png, png_const_charp text) {
        auto* self = static_cast<PngReader*>(png_get_error_ptr(png));
        std::snprintf(self->message.data(), self->message.size(), "%s", text);
        png_longjmp(png, 1);
    }

    static void read(png_structp png, png_bytep to, std::size_t n) {
        auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
        if (n > self->content.size() - self->at)
            png_error(png, "it ends too early");
        std::memcpy(to, self->content.data() + self->at, n);
        self->at += n;
    }
};

// Reads up to the pixels and asks for RGB of 8 or 16 bits; false on damage.
inline bool read_png_head(PngReader& reader) {
    if (setjmp(png_jmpbuf(reader.png)))
        return false;
    png_read_info(reader.png, reader.info);
    const auto kind = png_get_color_type(reader.png, reader.info);
    if (kind == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(reader.png);
    if (kind == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(reader.png, reader.info) < 8)
        png_set_expand_gray_1_2_4_to_8(reader.png);
    if (!(kind & PNG_COLOR_MASK_COLOR))
        png_set_gray_to_rgb(reader.png);
    png_set_strip_alpha(reader.png);
    png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
    return true;
}

inline bool read_png_pixels(PngReader& reader) {
    if (setjmp(png_jmpbuf(reader.png)))
        return false;
    png_read_image(reader.png, reader.rows.data());
    png_read_end(reader.png, nullptr);
    return true;
}

inline void halve_depth(Bytes& pixels) {
    for (std::size_t i = 0; i < pixels.size() / 2; ++i) {
        const unsigned value = pixels[2 * i] * 256U + pixels[2 * i + 1];
        pixels[i] = static_cast<std::uint8_t>((value + 128U) / 257U);
    }
    pixels.resize(pixels.size() / 2);
}

inline Image decode_png(const Bytes& content) {
    PngReader reader(content);
    const auto damaged = [&reader] {
        return BadImage("Expected a whole PNG, found damage (" + std::string(reader.message.data()) + "). " +
                        copy_again);
    };
    if (!read_png_head(reader))
        throw damaged();
    Image image{
        png_get_image_width(reader.png, reader.info), png_get_image_height(reader.png, reader.info), {}};
    check_claims(image.width, image.height, content.size(), png_pixels_per_byte);
    const auto n_row_bytes = png_get_rowbytes(reader.png, reader.info);
    const std::size_t n_bytes_per_value = png_get_bit_depth(reader.png, reader.info) == 16 ? 2 : 1;
    if (n_row_bytes != image.width * 3 * n_bytes_per_value)
        throw BadImage("The PNG's kind of pixels is not known here. Convert it to an 8-bit RGB PNG.");
    image.pixels.resize(n_row_bytes * image.height);
    reader.rows.resize(image.height);
    for (std::size_t row = 0; row < image.height; ++row)
        reader.rows[row] = image.pixels.data() + row * n_row_bytes;
    if (!read_png_pixels(reader))
        throw damaged();
    if (n_bytes_per_value == 2)
        halve_depth(image.pixels);
    return image;
}

struct JpegReader {
    jpeg_decompress_struct jpeg{};
    jpeg_error_mgr errors{};
    std::jmp_buf back{};
    std::array<char, JMSG_LENGTH_MAX> message{};

    JpegReader() {
        jpeg.err = jpeg_std_error(&errors);
        jpeg.client_data = this;
        errors.error_exit = fail;
        errors.emit_message = hear;
        if (setjmp(back))
            throw BadImage(message.data());
        jpeg_create_decompress(&jpeg);
    }
    ~JpegReader() { jpeg_destroy_decompress(&jpeg); }
    JpegReader(const JpegReader&) = delete;
    JpegReader& operator=(const JpegReader&) = delete;

    static void fail(j_common_ptr jpeg) {
        auto* self = static_cast<JpegReader*>(jpeg->client_data);
        jpeg->err->format_message(jpeg, self->message.data());
        std::longjmp(self->back, 1);
    }

    // A warning means that pixels are guessed, which is damage, except where only something was skipped.
    static void hear(j_common_ptr jpeg, int level) {
        const int code = jpeg->err->msg_code;
        const bool harmless =
            code == JWRN_EXTRANEOUS_DATA || code == JWRN_NOT_SEQUENTIAL || code == JWRN_BOGUS_PROGRESSION;
        if (level < 0 && !harmless)
            fail(jpeg);
    }
};

inline bool read_jpeg_head(JpegReader& reader, const Bytes& content) {
    if (setjmp(reader.back))
        return false;
    jpeg_mem_src(&reader.jpeg, content.data(), static_cast<unsigned long>(content.size()));
    jpeg_read_header(&reader.jpeg, TRUE);
    return true;
}

inline bool read_jpeg_pixels(JpegReader& reader, Image& image) {
    if (setjmp(reader.back))
        return false;
    reader.jpeg.out_color_space = JCS_RGB;
    jpeg_start_decompress(&reader.jpeg);
    while (reader.jpeg.output_scanline < reader.jpeg.output_height) {
        JSAMPROW row = image.pixels.data() + reader.jpeg.output_scanline * image.width * 3;
        jpeg_read_scanlines(&reader.jpeg, &row, 1);
    }
    jpeg_finish_decompress(&reader.jpeg);
    return true;
}

inline Image decode_jpeg(const Bytes& content) {
    JpegReader reader;
    const auto damaged = [&reader] {
        return BadImage("Expected a whole JPEG, found damage (" + std::string(reader.message.data()) + "). " +
                        copy_again);
    };
    if (!read_jpeg_head(reader, content))
        throw damaged();
    if (reader.jpeg.num_components != 1 && reader.jpeg.num_components != 3)
        throw BadImage("Expected a JPEG in grey or colour, found " +
                       std::to_string(reader.jpeg.num_components) +
                       " channels (CMYK has 4). Convert it to RGB.");
    Image image{reader.jpeg.image_width, reader.jpeg.image_height, {}};
    check_claims(image.width, image.height, content.size(), jpeg_pixels_per_byte);
    image.pixels.resize(image.width * image.height * 3);
    if (!read_jpeg_pixels(reader, image))
        throw damaged();
    return image;
}

}  // namespace decoding

// True when the name ends in .png, .jpg or .jpeg, in upper or lower case.
inline bool is_image_name(const std::filesystem::path& path) {
    auto ending = path.extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

// Decodes a file; its first bytes tell whether it is PNG or JPEG, not its name. Grey is repeated, palettes
// are looked up, alpha is dropped, 16 bits v become (v + 128) / 257. An EXIF orientation is not applied, as
// in Python. Throws BadImage when the file is missing, empty, damaged, cut short, or of another kind.
inline Image read_image(const std::filesystem::path& path) {
    const auto content = decoding::read_file(path);
    if (content.size() >= decoding::signature_length &&
        png_sig_cmp(content.data(), 0, decoding::signature_length) == 0)
        return decoding::decode_png(content);
    if (content.size() >= 2 && content[0] == 0xFF && content[1] == 0xD8)
        return decoding::decode_jpeg(content);
    throw BadImage("Expected a PNG or JPEG, found another kind of content. Convert it, or remove it.");
}
