"""Sphinx settings of the documentation: `make docs` builds it into build/docs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # generated.py

project = "jscc_sim"
extensions = ["myst_nb", "sphinx.ext.autodoc", "generated"]
html_theme = "furo"
html_title = "jscc_sim"
html_copy_source = False
smartquotes = False  # options have two hyphens
html_show_copyright = False
html_static_path = ["site.css"]
html_css_files = ["site.css"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "auto"
nb_execution_in_temp = True  # cells may write files
nb_execution_timeout = 240
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
maximum_signature_line_length = 90
