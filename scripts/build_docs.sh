#!/usr/bin/env bash
# The documents as a site, in build/site: the pages by mkdocs, the reference of the API by doxygen from the headers'
# own comments. Fails for a warning of mkdocs, a page that the navigation lacks, and a link that leads nowhere.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

install_missing "${docs_packages[@]}"
python3 scripts/build_docs.py --self-test
rm -rf build/site build/site-source build/api
mkdir -p build
version=$(sed -n 's/^project(plait VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
doxygen - <<DOXYFILE
PROJECT_NAME = plait
PROJECT_NUMBER = $version
PROJECT_BRIEF = "Threads, coroutines and worker processes behind one future"
INPUT = include
FILE_PATTERNS = *.hpp
RECURSIVE = YES
STRIP_FROM_PATH = include
STRIP_FROM_INC_PATH = include
INPUT_FILTER = "/usr/bin/env python3 scripts/doxygen_filter.py"
EXCLUDE_SYMBOLS = *detail*
EXTRACT_ALL = YES
HIDE_FRIEND_COMPOUNDS = YES
BUILTIN_STL_SUPPORT = YES
GENERATE_LATEX = NO
GENERATE_TREEVIEW = YES
HTML_DYNAMIC_MENUS = NO
HTML_COLORSTYLE_HUE = 174
HTML_TIMESTAMP = NO
OUTPUT_DIRECTORY = build/api
HAVE_DOT = NO
QUIET = YES
WARN_IF_UNDOCUMENTED = NO
WARN_IF_DOC_ERROR = NO
WARNINGS = NO
DOXYFILE
for page in docs/*.md; do
  grep -q ": $(basename "$page")\$" mkdocs.yml || { echo "docs: the navigation in mkdocs.yml lacks $page"; exit 1; }
done
python3 scripts/build_docs.py source docs build/site-source
mkdocs build --strict >build/site.log 2>&1 || { grep -v '^INFO\|^  - ' build/site.log; exit 1; }
mv build/api/html build/site/api
python3 scripts/build_docs.py check build/site
echo "docs: build/site/index.html"
