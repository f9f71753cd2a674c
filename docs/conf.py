"""How Sphinx builds the site: `make docs`.

The build needs no network. Links to the documentation of scikit-learn, NumPy and others
(intersphinx) need their inventories, so they are made only where ACR_DOCS_INTERSPHINX=1 is set;
there an inventory that cannot be had is an error, like every other warning.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import acr_sklearn  # noqa: E402

project = "acr_sklearn"
author = "The acr_sklearn developers"
copyright = author  # noqa: A001
version = release = acr_sklearn.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    # in docs/_ext
    "api_pages",
    "gallery_runs",
    "markdown_copies",
    "navigation",
    "repository_links",
]
exclude_patterns = ["_build", "_ext", "_templates", "**/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
suppress_warnings = ["config.cache"]  # sphinx-gallery's own settings, which cannot be pickled
if not list(HERE.glob("recipes/*.md")):
    exclude_patterns.append("recipes.md")

# ------------------------------------------------------------------------------ pages, docstrings
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4
smartquotes = False  # "ntl" is a value, to be copied as it stands
highlight_language = "none"  # a block without a language is output
toc_object_entries_show_parents = "hide"
autosummary_generate = False  # docs/_ext/api_pages.py writes the pages
autodoc_typehints = "none"  # numpydoc's Parameters say it, with shapes and units
autodoc_member_order = "alphabetical"
numpydoc_show_class_members = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
# The pages that show doctests are docstrings, which pytest runs.
doctest_test_doctest_blocks = ""

if os.environ.get("ACR_DOCS_INTERSPHINX") == "1":
    extensions.append("sphinx.ext.intersphinx")
intersphinx_mapping = {
    "matplotlib": ("https://matplotlib.org/stable", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "pandas": ("https://pandas.pydata.org/docs", None),
    "python": ("https://docs.python.org/3", None),
    "scipy": ("https://docs.scipy.org/doc/scipy", None),
    "sklearn": ("https://scikit-learn.org/stable", None),
    "skorch": ("https://skorch.readthedocs.io/en/stable", None),
    "torch": ("https://docs.pytorch.org/docs/stable", None),
}

# ---------------------------------------------------------------------------------- the gallery
sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("acr_sklearn",),
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "min_reported_time": 0,
    "write_computation_times": False,
}

# ------------------------------------------------------------------------------------ the theme
html_theme = "pydata_sphinx_theme"
html_title = "acr_sklearn"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/logo.svg"
html_use_index = False  # the API has every name, and the search
html_show_sourcelink = False
html_copy_source = False  # markdown_copies writes one Markdown file beside every page
html_sidebars = {"index": []}
html_context = {"default_mode": "auto"}  # light or dark as the reader's machine is
html_theme_options = {
    "logo": {
        "text": "acr_sklearn",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
    },
    "header_links_before_dropdown": 5,
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    # Not beside examples and results, which need the width for code and tables.
    "secondary_sidebar_items": {
        "*": ["page-toc"],
        "[a-fh-qs-z]*/*": ["page-toc"],
        "re[cp]*/*": ["page-toc"],
        "results": [],
    },
    "back_to_top_button": False,
}
