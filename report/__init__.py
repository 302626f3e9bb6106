# SPDX-License-Identifier: GPL-2.0-only
"""Showing: what a campaign or a trace looks like to a person.

A World becomes a scene (``scene``), a history frames (``story``); everything else makes something
to look at of these: ``show`` the page to step through, ``steps`` trees and arguments for a
terminal, ``export`` programs, tests, reports and graphs. ``run`` makes the page about a campaign,
``check`` files for CI. Pages have their frame from ``page``.
"""
