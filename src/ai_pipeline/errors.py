"""Why a run of the pipeline ends without having done its work."""


class PipelineFailed(Exception):  # noqa: N818 - named for what is the case, as every error of this product
    """The run cannot go on; the message is one line for whoever reads the job's log."""
