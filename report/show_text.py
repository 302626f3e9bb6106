# SPDX-License-Identifier: GPL-2.0-only
"""The words of the step-through page, in English and in Chinese; the kernel's stay as they are."""

from __future__ import annotations

from report.page_text import Texts

SHOW_TEXT: Texts = {
    "title": ("{0} on {1}", "{0}，内核 {1}"),
    "recorded": ("Recorded finding: {0}", "记录的发现：{0}"),
    "left-out-before": (
        "Left out: the first {0} of {1} operations; the picture starts from what they made.",
        "省略了前 {0} 个操作（共 {1} 个），图从它们的结果开始。",
    ),
    "left-out-after": (
        "Left out: the last {0} of {1} operations.",
        "省略了最后 {0} 个操作（共 {1} 个）。",
    ),
    "left-out-objects": (
        "Not drawn on {0}: {1}. Counts and trees include them.",
        "{0} 未画出：{1}。计数和树中仍包含它们。",
    ),
    "operations": ("Operations", "操作"),
    "calls": ("Kernel functions in this step", "本步骤中的内核函数"),
    "details": ("Object", "对象"),
    "details-hint": (
        "Point at an object to see what belongs to it, click it to read its fields; "
        "a page shows its reverse-map walk.",
        "指向对象可查看相关内容，点击可读取字段；点击 page 可查看反向映射遍历（rmap walk）。",
    ),
    "controls": ("Steps", "步骤"),
    "to-start": ("First step (Home)", "第一步 (Home)"),
    "to-back": ("One step back (←)", "后退一步 (←)"),
    "to-next": ("One step on (→)", "前进一步 (→)"),
    "to-end": ("Last step (End)", "最后一步 (End)"),
    "play": ("Play", "播放"),
    "pause": ("Pause", "暂停"),
    "slider": ("Step", "步骤"),
    "step-of": ("{0} of {1}", "{0} / 共 {1}"),
    "start": ("start", "开始"),
    "start-long": ("before the first operation", "第一个操作之前"),
    "to-finding": ("✗ Finding", "✗ 发现"),
    "to-difference": ("≠ First difference", "≠ 首个差异"),
    "finding-at": ("A law breaks at ops[{0}]", "ops[{0}] 处违反规则"),
    "difference-at": ("First difference at ops[{0}]", "首个差异在 ops[{0}]"),
    "compare": ("beside", "对比"),
    "nothing": ("nothing", "无"),
    "theme": ("colours", "配色"),
    "theme-auto": ("as the system", "跟随系统"),
    "theme-light": ("light", "浅色"),
    "theme-dark": ("dark", "深色"),
    "picture": ("Picture of {0} after {1}", "{0} 在 {1} 之后的图"),
    "counts": ("+{0} new  Δ{1} changed  †{2} freed", "+{0} 新建  Δ{1} 改变  †{2} 释放"),
    "laws-hold": ("Every law holds here.", "此处所有规则都成立。"),
    "law-broken": ("({0} law broken)", "（违反 {0} 规则）"),
    "law-remark": (
        "(a statement of the kernel's comments is untrue)",
        "（内核注释中的说法不成立）",
    ),
    "known-as": ("Known: {0}", "已知：{0}"),
    "is-new": ("new in this step", "本步骤新建"),
    "is-changed": ("changed in this step", "本步骤改变"),
    "is-freed": ("freed in this step", "本步骤释放"),
    "freed": ("freed", "已释放"),
    "exited": ("exited", "已退出"),
    "acts": ("acts", "执行"),
    "born": ("new", "新建"),
    "breaks-law": ("breaks a law", "违反规则"),
    "differs": ("differs from the other world", "与另一方不同"),
    "not-in-tree": ("not in tree", "不在树中"),
    "not-in-chain": ("not in chain", "不在链中"),
    "chain-place": ("place in chain: {0}", "链中位置：{0}"),
    "more-links": ("+{0} links", "另 {0} 个链接"),
    "freed-links": ("✗ {0} freed link(s)", "✗ {0} 个已释放的链接"),
    "held-outside": ("reference from outside", "外部引用"),
    "held-for": ("for {0}, page {1}", "{0} 的页 {1}"),
    "axis": ("page", "页号"),
    "head-pages": ("pages", "物理页"),
    "head-anon-vmas": ("anon_vmas", "anon_vmas"),
    "no-calls": ("None.", "无。"),
    "alloc-failed": ("failed", "失败"),
    "empty": ("none", "无"),
    "close": ("Close", "关闭"),
    "ended": ("(ended at {0})", "（止于 {0}）"),
    "walk-title": ("Reverse-map walk from here", "从这里开始的反向映射遍历"),
    "walk-nowhere": (
        "page->mapping leads to no anon_vma that exists: no walk can start.",
        "page->mapping 未指向存在的 anon_vma，无法开始遍历。",
    ),
    "walk-found": ("found", "找到"),
    "walk-idle": ("not here", "未映射"),
    "walk-missed": ("missed", "遗漏"),
    "walk-maps": ("{0} maps it at page {1}", "{0} 在页 {1} 处映射了它"),
    "walk-maps-not": (
        "{0} is visited, page {1} of it does not map it",
        "访问了 {0}，但其页 {1} 没有映射它",
    ),
    "walk-misses": (
        "{0} maps it at page {1} and the walk does not come there",
        "{0} 在页 {1} 处映射了它，但遍历不会到达",
    ),
    "walk-good": (
        "The walk finds everybody who maps this page.",
        "遍历找到了映射此页的所有进程。",
    ),
    "walk-bad": ("The walk misses {0} mapping(s).", "遍历遗漏了 {0} 处映射。"),
    "legend": ("What the signs mean", "图例"),
    "sign-new": ("new in this step", "本步骤新建"),
    "sign-changed": ("changed in this step; values as old→new", "本步骤改变，值写作 旧→新"),
    "sign-freed": ("freed; shown where something went or still points", "已释放"),
    "sign-broken": ("breaks the law", "违反规则"),
    "sign-other": ("not so in the other world", "与另一方不同"),
    "sign-link": (
        "anon_vma_chain: its number is its place in the VMA's chain, head first",
        "anon_vma_chain：数字是它在 VMA 链中的位置，链头为 1",
    ),
    "sign-own": ("the same, and vma->anon_vma points there", "同上，且 vma->anon_vma 指向它"),
    "sign-chain": ("a row: the VMA's anon_vma_chain", "横线：VMA 的 anon_vma_chain"),
    "sign-tree": ("a column: the anon_vma's interval tree", "竖线：anon_vma 的区间树"),
    "sign-mapping": ("page->mapping", "page->mapping"),
    "sign-parent": (
        "anon_vma->parent; a root has a double edge",
        "anon_vma->parent；root 为双边框",
    ),
    "keys": (
        (
            "Keys: ← → Home End step, Space plays, F finding, D difference, Tab and Enter pick, "
            "Esc lets go."
        ),
        "按键：← → Home End 切换步骤，空格播放，F 到发现，D 到差异，Tab 和 Enter 选择，Esc 取消。",
    ),
    "without-script": (
        "Without JavaScript this page is its steps as text.",
        "未启用 JavaScript，本页以文字列出各步骤。",
    ),
}
"""What the step-through page says."""
