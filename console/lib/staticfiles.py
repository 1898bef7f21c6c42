"""Where static files are served from: hashed names, compressed copies, ES module imports rewritten."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class Storage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Hashed and compressed files whose relative ES module imports point at the hashed names."""

    support_js_module_import_aggregation = True
