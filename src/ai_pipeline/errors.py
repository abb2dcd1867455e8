"""Why a run of the pipeline ends without having done its work."""


class PipelineFailed(Exception):
    """The run cannot go on; the message is one line for whoever reads the job's log."""
