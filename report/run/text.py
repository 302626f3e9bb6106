# SPDX-License-Identifier: GPL-2.0-only
"""The words of the page about a campaign, in both languages."""

from __future__ import annotations

from report.page_text import Texts

CAMPAIGN_TEXT: Texts = {
    "title": ("Campaign on {0}", "{0} 的测试运行"),
    "contents": ("Contents", "目录"),
    # What came of it.
    "outcome": ("Outcome", "结果"),
    "outcome-clean": (
        "Clean: no law was broken and every required goal was reached.",
        "通过：没有违反任何规则，所有必达目标均已到达。",
    ),
    "outcome-remarks": (
        "Clean but for documented laws, which fail nothing; every required goal was reached.",
        "通过（仅违反了“文档规则”，不算失败）；所有必达目标均已到达。",
    ),
    "outcome-found": ("Finding: a law was broken.", "有发现：违反了规则。"),
    "outcome-unproved": (
        "Nothing proved: a required goal was not reached.",
        "未证明任何结论：有必达目标没有到达。",
    ),
    "outcome-fault": (
        "Fault of anonvma itself: a case was lost or could not be judged.",
        "anonvma 自身出错：有用例丢失或无法判定。",
    ),
    "outcome-unsaved": (
        "Traces could not be written; they were printed on standard error.",
        "有轨迹文件无法写入，已输出到标准错误。",
    ),
    "outcome-interrupted": ("Interrupted.", "已中断。"),
    "outcome-cut": (
        "Unfinished: the record ends before the summary.",
        "未完成：记录在总结之前就结束了。",
    ),
    "outcome-cut-found": (
        "Unfinished, with a finding: the record ends before the summary.",
        "未完成，但已有发现：记录在总结之前就结束了。",
    ),
    "outcome-other": ("It ended with exit code {0}.", "退出码为 {0}。"),
    "note-cut": (
        (
            "The record breaks off after {0}: the run was killed, is still going on, or the "
            "file is not whole. What follows is what was recorded by then."
        ),
        "记录在 {0} 之后中断：运行被终止、仍在进行，或文件不完整。以下是截至当时的内容。",
    ),
    "note-full": (
        "The record was full at some point: between that and the summary, events are missing.",
        "记录文件曾写满：从那时到总结之间的事件缺失。",
    ),
    "note-left-out": (
        "{0} more findings, losses or faults are in the record and not on this page.",
        "记录中另有 {0} 条发现、丢失或故障未在本页列出。",
    ),
    # What ran.
    "what-ran": ("What ran", "运行内容"),
    "facts-caption": ("What was asked for, and what it came to", "运行参数与结果统计"),
    "kernel": ("Kernel", "内核"),
    "tree": ("Tree", "源码树"),
    "seed": ("Seed", "种子"),
    "engine": ("Engines", "引擎"),
    "budget": ("Budget", "预算"),
    "budget-seconds": ("{0} of searching", "搜索 {0}"),
    "budget-cases": ("{0} cases", "{0} 个用例"),
    "steps-a-case": ("Operations in a case", "每个用例的操作数"),
    "workers": ("Workers", "工作进程"),
    "tool": ("Version", "版本"),
    "began": ("Began (UTC)", "开始时间（UTC）"),
    "took": ("Took", "用时"),
    "cases": ("Cases", "用例"),
    "steps": ("Operations executed", "执行的操作"),
    "checked": ("Operations after which the laws were checked", "检查过规则的操作"),
    "effective": ("Operations that did something", "有实际效果的操作"),
    "cpu": ("CPU seconds", "CPU 秒"),
    "rate": ("Operations per CPU second", "每 CPU 秒操作数"),
    "file": ("Record", "记录文件"),
    "options": ("Options", "选项"),
    "again": ("To do it again", "重新运行"),
    "engines": ("What each engine did", "各引擎的工作量"),
    "engine-name": ("Engine", "引擎"),
    "share": ("Share of CPU", "CPU 占比"),
    # Goals.
    "goals": ("Goals", "目标"),
    "goals-about": (
        "A campaign proves something only if it went where bugs live. {0} of {1} goals reached.",
        "只有到达过容易出错的地方，一次运行才有证明力。已到达 {1} 个目标中的 {0} 个。",
    ),
    "goals-caption": ("Goals and the cases that reached them", "各目标及到达它的用例数"),
    "goal": ("Goal", "目标"),
    "goal-means": ("What was seen", "含义"),
    "goal-cases": ("Cases", "用例数"),
    "goal-first": ("First case", "首个用例"),
    "goal-status": ("Status", "状态"),
    "goal-reached": ("reached", "已到达"),
    "goal-missing": ("MISSING, required", "未到达（必达）"),
    "goal-optional": ("not reached, not required", "未到达（非必达）"),
    "goal-unknown": ("not reached", "未到达"),
    "no-goals": ("The record names no goals.", "记录中没有目标。"),
    # States over time.
    "over-time": ("Over time", "随时间的变化"),
    "over-time-about": (
        (
            "Of random cases, the first {0} and then one in {1} (later fewer) were looked at "
            "while the campaign ran: distinct states are counted up to the names of processes "
            "and objects, and cells are those of the table below. Horizontally: seconds."
        ),
        (
            "运行期间观察了前 {0} 个随机用例，之后每 {1} 个观察一个（更晚则更稀疏）：不同状态的"
            "计数忽略进程和对象的名称，单元格即下方表格中的格子。横轴：秒。"
        ),
    ),
    "curve-distinct": ("Distinct states, in the cases looked at", "不同状态数（观察的用例中）"),
    "curve-cells": ("Cells met: operation × shape", "到达的单元格：操作 × 形态"),
    "curve-goals": ("Goals reached", "已到达的目标"),
    "curve-cases": ("Cases", "用例数"),
    "curve-label": (
        "From {0} at {1} s to {2} at {3} s",
        "从第 {1} 秒的 {0} 到第 {3} 秒的 {2}",
    ),
    "curve-now": ("this run, solid", "本次运行，实线"),
    "curve-earlier": ("the earlier run, dashed", "较早的运行，虚线"),
    "curve-table": ("The same as numbers", "对应的数值"),
    "seconds": ("Seconds", "秒"),
    "no-curves": ("The record has no progress.", "记录中没有进度。"),
    # Heat map.
    "coverage": ("Operations and the shapes of state that they met", "操作与其遇到的状态形态"),
    "coverage-about": (
        (
            "Counted during the campaign in the {0} random cases looked at ({1} operations); "
            "explorations and the state machine are not in it. {2} of {3} cells that can be "
            "met were met ({4} %)."
        ),
        (
            "在运行期间，由被观察的 {0} 个随机用例（{1} 个操作）统计得出，不含穷举和状态机。可"
            "达的 {3} 个单元格中到达了 {2} 个（{4} %）。"
        ),
    ),
    "coverage-caption": (
        "How often an operation (row) met a shape of state (column)",
        "操作（行）遇到状态形态（列）的次数",
    ),
    "coverage-region": (
        "Table of operations and shapes; scroll with the arrow keys",
        "操作与形态表；可用方向键滚动",
    ),
    "coverage-legend": (
        (
            "A number: how often; darker is more. hole: can be met and never was. –: cannot be "
            "met. Empty: means nothing to the operation. *: it never went through there (a row "
            "ENOMEM, in which an allocation failed: it never failed there). ?: declared "
            "impossible, and met."
        ),
        (
            "数字：次数，颜色越深越多。hole：可达但从未到达。–：不可达。空：对该操作无意义。*："
            "在该处从未成功（ENOMEM 行表示有分配失败：从未失败）。?：被声明为不可能，却到达了。"
        ),
    ),
    "shapes": ("What the shapes are", "各形态的含义"),
    "operation": ("Operation", "操作"),
    "no-coverage": (
        "No random case was looked at, so there is no table.",
        "没有观察过随机用例，因此没有表格。",
    ),
    # Findings.
    "findings": ("Findings", "发现"),
    "remarks": ("Documented laws found untrue", "不成立的文档规则"),
    "remarks-about": (
        "They contradict the kernel's own comments and fail a campaign with --strict only.",
        "它们与内核自身的注释矛盾，仅在 --strict 时算失败。",
    ),
    "no-findings": ("No law was broken.", "没有违反任何规则。"),
    "law": ("Law", "规则"),
    "broken": ("How it is broken", "违反方式"),
    "only-if": ("Only if", "前提"),
    "known-as": ("Known as", "已知为"),
    "first-seen": ("First in case {0}", "首见于用例 {0}"),
    "seen-once": ("in case {0} only", "仅见于用例 {0}"),
    "seen-in": ("first in case {0}, {1} cases in all", "首见于用例 {0}，共 {1} 个用例"),
    "shrunk-from": ("{0} operations, shrunk from {1}", "{0} 个操作，由 {1} 个缩减而来"),
    "not-shrunk": ("{0} operations, as found", "{0} 个操作，未缩减"),
    "where": ("Where", "出处"),
    "length": ("Length", "长度"),
    "shortest": ("Nothing is shorter in the scope", "在此范围内没有更短的"),
    "stopped": ("Shrinking ended early", "缩减提前结束"),
    "history": ("Operations", "操作序列"),
    "trace": ("Trace", "轨迹文件"),
    "not-there": ("{0} (not there any more)", "{0}（已不存在）"),
    "unsaved": ("not saved", "未保存"),
    "step-page": ("Step by step", "逐步查看"),
    "replay": ("To replay it", "重放"),
    "troubles": ("Lost cases and faults", "丢失的用例与故障"),
    "trouble-case": ("Case", "用例"),
    "trouble-what": ("What happened", "情况"),
    "lost": ("Lost: a worker died of the case or did not come back", "丢失：工作进程死亡或无响应"),
    "faults": ("Faults of anonvma itself", "anonvma 自身的故障"),
    # Laws.
    "laws": ("What each law costs", "各规则的开销"),
    "laws-about": (
        (
            "Measured when this page was made, on {0} random cases of this run: after each of "
            "{1} operations every law was checked by itself and its CPU time taken. A campaign "
            "runs them only where a screen, one pass for all, stops something; the shares are "
            "of the laws without it. Laws that are noticed while an operation runs have no row."
        ),
        (
            "在生成本页时测得：取本次运行的 {0} 个随机用例，在 {1} 个操作之后逐一检查每条规则并"
            "计其 CPU 时间。实际运行时先用一遍快速筛查，只有被拦下时才逐条检查；此处占比不含筛"
            "查。在操作执行中被发现的规则不在表中。"
        ),
    ),
    "laws-caption": ("CPU time of the laws, most expensive first", "各规则的 CPU 时间，由高到低"),
    "bar": ("As a bar", "图示"),
    "law-says": ("What it says", "内容"),
    "law-time": ("Microseconds a check", "每次检查微秒数"),
    "law-share": ("Share", "占比"),
    "laws-tree": (
        "Not measured: what ran was a source tree, {0}, and not a model.",
        "未测量：运行对象是源码树 {0}，不是模型。",
    ),
    "laws-kernel": (
        "Not measured: this version has no kernel {0}.",
        "未测量：本版本没有内核 {0}。",
    ),
    "laws-version": (
        "Not measured: the run was made by {0}, whose cases are not those of this version.",
        "未测量：该运行由 {0} 生成，其用例与本版本不同。",
    ),
    "laws-no-cases": (
        "Not measured: the run has no random cases.",
        "未测量：该运行没有随机用例。",
    ),
    # Comparison.
    "comparison": ("Compared with an earlier run", "与较早的运行比较"),
    "earlier": ("Earlier run", "较早的运行"),
    "this-run": ("This run", "本次运行"),
    "difference": ("Difference", "差值"),
    "quantity": ("Quantity", "数量"),
    "figures-caption": ("Figures of both runs", "两次运行的数据"),
    "warning-kernel": (
        "The runs are of different kernels: {0} earlier, {1} now.",
        "两次运行的内核不同：较早为 {0}，现在为 {1}。",
    ),
    "warning-tool": (
        "The runs are of different versions: {0} earlier, {1} now.",
        "两次运行的版本不同：较早为 {0}，现在为 {1}。",
    ),
    "warning-options": (
        "The runs have different engines or lengths of case: {0} earlier, {1} now.",
        "两次运行的引擎或用例长度不同：较早为 {0}，现在为 {1}。",
    ),
    "warning-coverage": (
        "Coverage is known of one of the runs only.",
        "只有其中一次运行有覆盖数据。",
    ),
    "goals-gained": ("Goals reached now and not earlier", "新到达的目标"),
    "goals-lost": ("Goals reached earlier and not now", "不再到达的目标"),
    "findings-new": ("Findings that are new", "新的发现"),
    "findings-gone": ("Findings that are gone", "消失的发现"),
    "cells-gained": ("Cells met now and not earlier", "新到达的单元格"),
    "cells-lost": ("Cells met earlier and not now", "不再到达的单元格"),
    "none": ("none", "无"),
    "and-more": ("and {0} more", "以及另外 {0} 个"),
    "distinct": ("Distinct states, in the cases looked at", "不同状态数（观察的用例中）"),
    "looked-at": ("States looked at", "观察的状态数"),
    "explored": ("States explored", "穷举的状态数"),
    "goals-reached": ("Goals reached", "已到达的目标"),
    "findings-count": ("Findings", "发现"),
    "cells-met": ("Cells met", "到达的单元格"),
    "elapsed": ("Seconds", "秒"),
}
"""What ``report.run.page`` says."""
