# SPDX-License-Identifier: GPL-2.0-only
"""The documentation: pages beside this file, and in ``docs.site`` what makes a site of them."""
