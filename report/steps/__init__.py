# SPDX-License-Identifier: GPL-2.0-only
"""Steps as trees and a finding as an argument, for a terminal."""
