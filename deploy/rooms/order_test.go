package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// arrowsOf reads "a→b b→c".
func arrowsOf(text string) (files []string, out []arrow) {
	for _, word := range strings.Fields(text) {
		from, to, _ := strings.Cut(word, "→")
		out = append(out, arrow{from, to})
		for _, file := range []string{from, to} {
			if !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	return files, out
}

func TestArrowsRunUpOnCirclesOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		arrows string
		want   int
	}{
		{"", 0},
		{"a→b b→c a→c", 0},
		{"c→b b→a c→a", 0},
		{"a→b b→a", 1},
		{"a→b b→c c→a", 1},
		{"a→b b→a b→c c→b", 2},
		{"a→b a→c a→d b→a c→a d→a", 3},
		{"a→b b→a x→y y→x b→x", 2},
	} {
		files, list := arrowsOf(c.arrows)
		if got := (room{files: files, arrows: list}).up(); len(got) != c.want {
			t.Errorf("%s: %v run up, want %d", c.arrows, got, c.want)
		}
	}
}

// TestTheOrderIsTheBest compares with all orders of small rooms, and what is used for large ones comes near.
func TestTheOrderIsTheBest(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		uses := make([]uint64, 6)
		for i := range uses {
			uses[i] = uint64(random.IntN(1<<6)) &^ (1 << i)
		}
		want := fewest(uses, nil)
		if got := upward(uses, least(uses)); got != want {
			t.Fatalf("%b: %d run up, want %d", uses, got, want)
		}
		if got := upward(uses, improved(uses)); got < want || got > want+2 {
			t.Fatalf("%b: %d run up without trying all, want about %d", uses, got, want)
		}
	}
}

func fewest(uses []uint64, order []int) int {
	if len(order) == len(uses) {
		return upward(uses, order)
	}
	best := 1 << 30
	for file := range uses {
		if !slices.Contains(order, file) {
			best = min(best, fewest(uses, append(slices.Clone(order), file)))
		}
	}
	return best
}

func TestAModuleIsRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module example.org/m\n\ngo 1.26\n",
		"p/a.go":      "package p\n\nfunc A(b B) int { return b.field + b.Method() }\n",
		"p/b.go":      "package p\n\ntype B struct{ field int }\n\nfunc local() { field := 1; _ = field }\n",
		"p/c.go":      "package p\n\nfunc (B) Method() int { local(); return 0 }\n",
		"p/c_test.go": "package p\n\nvar _ = A\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rooms, err := load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(rooms) != 1 || rooms[0].name != "p" || len(rooms[0].files) != 3 || rooms[0].lines != 11 {
		t.Fatalf("%+v", rooms)
	}
	_, want := arrowsOf("a.go→b.go a.go→c.go c.go→b.go")
	if !slices.Equal(rooms[0].arrows, want) {
		t.Errorf("arrows %v, want %v", rooms[0].arrows, want)
	}
	if up := rooms[0].up(); len(up) != 0 {
		t.Errorf("%v run up where there is no circle", up)
	}
}
