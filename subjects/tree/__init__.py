# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own anon_vma code, from a source tree, as a subject."""
