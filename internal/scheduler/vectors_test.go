package scheduler

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // the answers must not depend on the machine's database
)

// vector is one case that Quartz 2.3.2 answered.
type vector struct {
	Expr    string  `json:"expr"`
	Zone    string  `json:"zone"`
	After   int64   `json:"after"`
	Next    []int64 `json:"next"`
	Invalid bool    `json:"invalid"`
}

// askedPerVector is how many times Quartz was asked for; fewer mean that it found no more.
const askedPerVector = 5

var readVectors = sync.OnceValues(func() ([]vector, error) {
	text, err := os.ReadFile("testdata/quartz-vectors.json")
	if err != nil {
		return nil, err
	}
	var vectors []vector
	return vectors, json.Unmarshal(text, &vectors)
})

func vectors(tb testing.TB) []vector {
	tb.Helper()
	all, err := readVectors()
	if err != nil {
		tb.Fatal(err)
	}
	if len(all) != 600 {
		tb.Fatalf("got %d vectors, want 600", len(all))
	}
	return all
}

// vectorZones lists the zones that occur in the vectors.
func vectorZones(tb testing.TB) []*time.Location {
	tb.Helper()
	var zones []*time.Location
	for _, v := range vectors(tb) {
		if v.Zone != "" && !slices.ContainsFunc(zones, func(z *time.Location) bool { return z.String() == v.Zone }) {
			zones = append(zones, location(tb, v.Zone))
		}
	}
	return zones
}

func location(tb testing.TB, name string) *time.Location {
	tb.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		tb.Fatal(err)
	}
	return zone
}

func mustParse(tb testing.TB, expr string, zone *time.Location) *Expression {
	tb.Helper()
	e, err := Parse(expr, zone)
	if err != nil {
		tb.Fatalf("Parse(%q): %v", expr, err)
	}
	return e
}

// TestRows has what clocks do wrong, by its name in the recorder's TestRows.
func TestRows(t *testing.T) {
	t.Parallel()
	t.Run("dst", func(t *testing.T) {
		t.Parallel()
		t.Run("as Quartz", func(t *testing.T) { t.Parallel(); answeredAsQuartzDoes(t, repeatsOrSkips) })
		t.Run("in every zone", aroundChangesOfTheClock)
	})
}

// repeatsOrSkips reports whether a zone's local time repeats or skips some between two firings, or
// before the first.
func repeatsOrSkips(v vector) bool {
	zone, err := time.LoadLocation(v.Zone)
	if err != nil || len(v.Next) == 0 {
		return false
	}
	_, end := time.Unix(v.After, 0).In(zone).ZoneBounds()
	return !end.IsZero() && end.Unix() <= v.Next[len(v.Next)-1]
}

func TestEveryVectorIsAnsweredAsQuartzDoes(t *testing.T) {
	t.Parallel()
	answeredAsQuartzDoes(t, func(v vector) bool { return !repeatsOrSkips(v) })
}

func answeredAsQuartzDoes(t *testing.T, these func(vector) bool) {
	n := 0
	defer func() {
		if n == 0 {
			t.Error("there is no such vector")
		}
	}()
	for i, v := range vectors(t) {
		if !these(v) {
			continue
		}
		n++
		if v.Invalid {
			var parseError *ParseError
			if err := Check(v.Expr); !errors.As(err, &parseError) || parseError.Error() == "" {
				t.Errorf("vector %d: Check(%q) = %v, want a *ParseError", i, v.Expr, err)
			}
			continue
		}
		e, err := Parse(v.Expr, location(t, v.Zone))
		if err != nil {
			t.Errorf("vector %d: Parse(%q): %v", i, v.Expr, err)
			continue
		}
		got := []int64{}
		for at := time.Unix(v.After, 0); len(got) < askedPerVector; {
			if at = e.Next(at); at.IsZero() {
				break
			}
			got = append(got, at.Unix())
		}
		if !slices.Equal(got, v.Next) {
			t.Errorf("vector %d: %q in %s after %d: got %v, want %v", i, v.Expr, v.Zone, v.After, got, v.Next)
		}
	}
}
