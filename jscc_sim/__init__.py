"""Send real images over noisy radio channels, with bandwidth where the picture needs it."""


def __getattr__(name: str) -> str:
    """`__version__`, read when it is asked for: `jscc-sim --help` is quick."""
    if name == "__version__":
        from jscc_sim.versions import version_of

        return version_of("jscc_sim")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
