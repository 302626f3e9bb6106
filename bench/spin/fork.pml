/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fork and exit of processes with one faulted VMA each: chains, parents, reuse.
 *
 * The yardstick for "anonvma explore": the same states, counted by SPIN. Written from
 * docs/laws.md and model/, for v5.18 (-DDEGREE) and v6.1 and later. LIVE is the number of
 * processes alive at a time, LINKS the longest chain.
 *
 * A state is told in canonical numbers: processes in the order of their birth, anon_vmas in the
 * order in which the chains show them, oldest first. The law is reuse-free.
 */

#ifndef LIVE
#define LIVE 3
#endif
#ifndef LINKS
#define LINKS 10
#endif
#define NONE 255
#define AT(p, k) chain[(p) * LINKS + (k)]

byte n = 1;             /* live processes */
bool forked;            /* the page's entries are read-only since the first fork */
byte peak = 1;          /* most VMAs that the root's tree ever had */
byte links[LIVE] = { 1, 0 };
byte chain[LIVE * LINKS];
byte own[LIVE];
byte na = 1;            /* anon_vmas; number 0 is the root */
byte parent[LINKS];
#ifdef DEGREE
byte degree[LINKS] = { 2, 0 };
#else
byte children[LINKS] = { 1, 0 };
byte active_vmas[LINKS] = { 1, 0 };
#endif

/* Used within a step, 0 between two: breadth-first search allows no hidden variables. */
byte i, j, k, a, c, found, uses, kids, total;
byte number[LINKS];
byte old[LINKS];
byte moved[LINKS];

/* How many VMAs have a as their anon_vma, and how many anon_vmas as their parent. */
inline recount(x) {
	uses = 0; kids = 0;
	j = 0;
	do
	:: j < n -> if :: own[j] == x -> uses++ :: else fi; j++
	:: else -> break
	od;
	j = 0;
	do
	:: j < na -> if :: parent[j] == x -> kids++ :: else fi; j++
	:: else -> break
	od;
	j = 0
}

#define PERMUTE(what) \
	j = 0; \
	do :: j < total -> moved[j] = what[old[j]]; j++ :: else -> break od; \
	j = 0; \
	do \
	:: j < LINKS -> if :: j < total -> what[j] = moved[j] :: else -> what[j] = 0 fi; j++ \
	:: else -> break \
	od

/* Give every array its canonical numbers, and what is not in use its initial value. */
inline renumber() {
	j = 0;
	do :: j < LINKS -> number[j] = NONE; j++ :: else -> break od;
	total = 0; j = 0;
	do
	:: j < n ->
		k = 0;
		do
		:: k < links[j] ->
			if
			:: number[AT(j, k)] == NONE ->
				number[AT(j, k)] = total; old[total] = AT(j, k); total++
			:: else
			fi;
			AT(j, k) = number[AT(j, k)];
			k++
		:: else -> break
		od;
		own[j] = number[own[j]];
		j++
	:: else -> break
	od;
	PERMUTE(parent);
	j = 0;
	do :: j < total -> parent[j] = number[parent[j]]; j++ :: else -> break od;
#ifdef DEGREE
	PERMUTE(degree);
#else
	PERMUTE(children);
	PERMUTE(active_vmas);
#endif
	na = total;
	j = 0;
	do
	:: j < LINKS -> number[j] = 0; old[j] = 0; moved[j] = 0; j++
	:: else -> break
	od;
	i = 0; j = 0; k = 0; a = 0; c = 0; found = 0; uses = 0; kids = 0; total = 0
}

inline fork(p) {
	c = n; found = NONE; k = 0;
	do
	:: k < links[p] ->
		a = AT(p, k);
		AT(c, k) = a;
		if
#ifdef DEGREE
		:: found == NONE && a != own[p] && degree[a] < 2 -> found = a
#else
		:: found == NONE && active_vmas[a] == 0 && children[a] < 2 -> found = a
#endif
		:: else
		fi;
		k++
	:: else -> break
	od;
	links[c] = links[p];
	if
	:: found != NONE ->
		recount(found);
		assert(uses == 0 && kids <= 1);
		own[c] = found;
#ifdef DEGREE
		degree[found]++
#else
		active_vmas[found]++
#endif
	:: else ->
		assert(na < LINKS && links[c] < LINKS);
		a = na; na++;
		AT(c, links[c]) = a; links[c]++;
		own[c] = a; parent[a] = own[p];
#ifdef DEGREE
		degree[a] = 1; degree[own[p]]++
#else
		children[a] = 0; active_vmas[a] = 1; children[own[p]]++
#endif
	fi;
	n++; forked = true;
	if :: n > peak -> peak = n :: else fi;
	renumber()
}

inline exit(p) {
	/* From the newest link on, as the list goes. */
	k = links[p];
	do
	:: k > 0 ->
		k--;
		a = AT(p, k); uses = 0; i = 0;
		do
		:: i < n ->
			j = 0;
			do
			:: i != p && j < links[i] -> if :: AT(i, j) == a -> uses++ :: else fi; j++
			:: else -> break
			od;
			i++
		:: else -> break
		od;
		if
#ifdef DEGREE
		:: uses == 0 -> degree[parent[a]]--
#else
		:: uses == 0 -> children[parent[a]]--
#endif
		:: else
		fi
	:: else -> break
	od;
#ifdef DEGREE
	degree[own[p]]--;
#else
	active_vmas[own[p]]--;
#endif
	i = p;
	do
	:: i + 1 < n ->
		k = 0;
		do :: k < LINKS -> AT(i, k) = AT(i + 1, k); k++ :: else -> break od;
		links[i] = links[i + 1]; own[i] = own[i + 1];
		i++
	:: else -> break
	od;
	n--;
	k = 0;
	do :: k < LINKS -> AT(n, k) = 0; k++ :: else -> break od;
	links[n] = 0; own[n] = 0; i = 0;
	if :: n == 0 -> forked = false; peak = 0 :: else fi;
	renumber()
}

/* Everything of a step is one transition: the states in between are nobody's business. */
#define FORK(p) :: d_step { n > p && n < LIVE -> printf("fork %d\n", p); fork(p) }
#define EXIT(p) :: d_step { n > p -> printf("exit %d\n", p); exit(p) }

active proctype kernel() {
	do
	FORK(0) EXIT(0)
	FORK(1) EXIT(1)
	FORK(2) EXIT(2)
#if LIVE > 3
	FORK(3) EXIT(3)
#endif
#if LIVE > 4
	FORK(4) EXIT(4)
#endif
	od
}
