package main

import (
	"math/bits"
	"slices"
	"strings"
)

// room is one package: a wall around files.
type room struct {
	name   string // directory below the module
	lines  int
	files  []string
	arrows []arrow
}

// arrow says that a file uses what another one declares.
type arrow struct{ from, to string }

func (a arrow) String() string { return a.from + " → " + a.to }

func (a arrow) compare(b arrow) int {
	if c := strings.Compare(a.from, b.from); c != 0 {
		return c
	}
	return strings.Compare(a.to, b.to)
}

// up lists the arrows that run against the best order of the files, in which a file precedes those it uses.
func (r room) up() []arrow {
	place := make(map[string]int, len(r.files))
	for _, circle := range r.circles() {
		for _, file := range r.best(circle) {
			place[file] = len(place)
		}
	}
	var out []arrow
	for _, a := range r.arrows {
		if place[a.from] > place[a.to] {
			out = append(out, a)
		}
	}
	return out
}

// circles splits the files into those that reach each other (Tarjan's strongly connected components), users first.
func (r room) circles() [][]string {
	uses := make(map[string][]string)
	for _, a := range r.arrows {
		uses[a.from] = append(uses[a.from], a.to)
	}
	var (
		out   [][]string
		stack []string
		index = make(map[string]int)
		low   = make(map[string]int)
		open  = make(map[string]bool)
		visit func(file string)
	)
	visit = func(file string) {
		index[file] = len(index) + 1
		low[file] = index[file]
		stack, open[file] = append(stack, file), true
		for _, to := range uses[file] {
			if index[to] == 0 {
				visit(to)
				low[file] = min(low[file], low[to])
			} else if open[to] {
				low[file] = min(low[file], index[to])
			}
		}
		if low[file] != index[file] {
			return
		}
		at := slices.Index(stack, file)
		circle := slices.Clone(stack[at:])
		stack = stack[:at]
		for _, f := range circle {
			open[f] = false
		}
		out = append(out, circle)
	}
	for _, file := range r.files {
		if index[file] == 0 {
			visit(file)
		}
	}
	slices.Reverse(out) // Tarjan finds what is used first
	return out
}

// exact is how many files of one circle are ordered by trying all orders: 2^20 sets, each once.
const exact = 20

// best orders the files of one circle so that the fewest arrows run up.
func (r room) best(files []string) []string {
	uses := make([]uint64, len(files)) // by file, the set of those it uses
	for _, a := range r.arrows {
		if from, to := slices.Index(files, a.from), slices.Index(files, a.to); from >= 0 && to >= 0 {
			uses[from] |= 1 << to
		}
	}
	order := improved(uses)
	if len(files) <= exact {
		order = least(uses)
	}
	out := make([]string, len(files))
	for i, file := range order {
		out[i] = files[file]
	}
	return out
}

// least tries all orders: the best order of the first files ends with one of them, which follows the best
// order of the others.
func least(uses []uint64) []int {
	n := len(uses)
	cost, last := make([]int32, 1<<n), make([]int8, 1<<n)
	for set := uint64(1); set < 1<<n; set++ {
		cost[set] = 1 << 30
		for rest := set; rest != 0; rest &= rest - 1 {
			file := bits.TrailingZeros64(rest)
			before := set &^ (1 << file)
			// Its uses of earlier files run up.
			if c := cost[before] + int32(bits.OnesCount64(uses[file]&before)); c < cost[set] {
				cost[set], last[set] = c, int8(file)
			}
		}
	}
	order := make([]int, n)
	for set, i := uint64(1<<n-1), n-1; i >= 0; i-- {
		order[i] = int(last[set])
		set &^= 1 << last[set]
	}
	return order
}

// improved moves one file at a time to where it saves most, until none saves any: a large circle has too many
// orders to try all.
func improved(uses []uint64) []int {
	order := make([]int, len(uses))
	for i := range order {
		order[i] = i
	}
	for better := true; better; {
		better = false
		for file := range uses {
			at := slices.Index(order, file)
			without := slices.Delete(slices.Clone(order), at, at+1)
			to, now := at, upward(uses, order)
			for i := range order {
				if c := upward(uses, slices.Insert(slices.Clone(without), i, file)); c < now {
					to, now = i, c
				}
			}
			if to != at {
				order, better = slices.Insert(without, to, file), true
			}
		}
	}
	return order
}

func upward(uses []uint64, order []int) int {
	var before uint64
	up := 0
	for _, file := range order {
		up += bits.OnesCount64(uses[file] & before)
		before |= 1 << file
	}
	return up
}
