# SPDX-License-Identifier: GPL-2.0-only
"""The reference model: what Linux does, one module per kernel file, under the kernel's names."""
