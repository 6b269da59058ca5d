"""Writers of finished datasets; each module has `write(samples, out) -> list[Path]`."""

from curate.registry import Entry

EXPORTERS = {
    "mvtec_ad": Entry("curate.exporters.mvtec_ad", "MVTec AD folders, with masks, licences and a manifest"),
}
