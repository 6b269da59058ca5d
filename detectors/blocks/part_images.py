"""Parts of the images of a stream, as a sequence of images of their own."""

import threading
from collections.abc import Callable, Sequence

from detectors.geometry import Image, check_image
from detectors.normals import Stream

N_KEPT = 3  # whole images, while their parts are taken


class PartImages(Sequence[Image]):
    """Some parts of the images of a stream, image by image; a few whole images are kept meanwhile."""

    def __init__(
        self,
        stream: Stream,
        parts: Sequence[int],
        part: Callable[[Image, int], Image],
        sizes_hw: dict[int, tuple[int, int]],
    ) -> None:
        self.stream, self.parts, self.part = stream, parts, part
        self.sizes_hw = sizes_hw  # of the images seen, by their place in the stream
        self._images: dict[int, Image] = {}
        self._busy = threading.Lock()

    def __len__(self) -> int:
        return len(self.stream.indices) * len(self.parts)

    def __getitem__(self, index: int) -> Image:  # type: ignore[override]
        place, part = divmod(index, len(self.parts))
        with self._busy:
            if place not in self._images:
                image = self.stream.images[self.stream.indices[place]]
                check_image(image)
                self.sizes_hw[place] = (image.shape[0], image.shape[1])
                self._images = dict(list(self._images.items())[1 - N_KEPT :]) | {place: image}
            image = self._images[place]
        return self.part(image, self.parts[part])
