"""Says for each part of an installation whether it works, by trying it."""

from curate.registry import Entry

PARTS = {
    "python": Entry("curate.doctor.parts:python", "Python 3.11 or newer"),
    "torch": Entry("curate.doctor.parts:torch", "tensors, and torchvision beside it"),
    "backbone": Entry("curate.doctor.parts:backbone", "ImageNet weights name a picture"),
    "runtimes": Entry("curate.doctor.parts:runtimes", "inference runtimes agree"),
    "mongod": Entry("curate.doctor.parts:mongod", "the database stores a document"),
    "app": Entry("curate.doctor.parts:app", "files of the FiftyOne App"),
    "browser": Entry("curate.doctor.parts:browser", "headless browser, for tests only"),
    "disk": Entry("curate.doctor.parts:disk", "free space in the workspace"),
    "offline": Entry("curate.doctor.parts:offline", "nothing calls home"),
}
