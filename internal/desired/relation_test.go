package desired

import (
	"slices"
	"strings"
	"testing"
)

func TestRelatedStreams(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		mainOf map[string]string   // by stream
		of     map[string][]string // the other streams of the camera
		faults map[string]string   // by stream, a part of the text
	}{
		"none": {mainOf: map[string]string{"a": "", "b": ""}, of: map[string][]string{"a": nil, "gone": nil}},
		"main and sub": {mainOf: map[string]string{"door": "door-sub", "door-sub": ""},
			of: map[string][]string{"door": {"door-sub"}, "door-sub": {"door"}}},
		"two sub streams": {mainOf: map[string]string{"m": " s2, s1 ", "s1": "", "s2": ""},
			of: map[string][]string{"m": {"s1", "s2"}, "s1": {"m", "s2"}, "s2": {"m", "s1"}}},
		"itself": {mainOf: map[string]string{"a": "a"}, of: map[string][]string{"a": nil},
			faults: map[string]string{"a": "the stream itself"}},
		"not a name": {mainOf: map[string]string{"a": "b/c"}, faults: map[string]string{"a": "must be the names of streams"}},
		"twice": {mainOf: map[string]string{"a": "b b", "b": ""}, of: map[string][]string{"b": nil},
			faults: map[string]string{"a": "once"}},
		"too many": {mainOf: map[string]string{"a": "1 2 3 4 5 6 7 8 9"}, faults: map[string]string{"a": "at most 8"}},
		"unknown, and one that exists": {mainOf: map[string]string{"a": "gone b", "b": ""},
			of: map[string][]string{"a": {"b"}, "b": {"a"}}, faults: map[string]string{"a": "stream gone, which is not configured on this hub"}},
		"a circle": {mainOf: map[string]string{"a": "b", "b": "a"}, of: map[string][]string{"a": nil, "b": nil},
			faults: map[string]string{"a": "b, which is a main stream itself", "b": "a, which is a main stream itself"}},
		"a chain": {mainOf: map[string]string{"a": "b", "b": "c", "c": ""}, of: map[string][]string{"a": nil, "b": {"c"}, "c": {"b"}},
			faults: map[string]string{"a": "b, which is a main stream itself"}},
		"two main streams": {mainOf: map[string]string{"a": "s", "b": "s", "s": ""}, of: map[string][]string{"a": {"s"}, "b": nil, "s": {"a"}},
			faults: map[string]string{"b": "whose main stream is a already"}},
	} {
		relations, faults := Related(row.mainOf)
		for stream, want := range row.of {
			if got := relations.Of(stream); !slices.Equal(got, want) {
				t.Errorf("%s: with %s belong %v, want %v", name, stream, got, want)
			}
		}
		if len(faults) != len(row.faults) {
			t.Errorf("%s: faults are %v, want %v", name, faults, row.faults)
		}
		for stream, want := range row.faults {
			if !strings.Contains(faults[stream], want) {
				t.Errorf("%s: of %s it is said that it %q, want %q", name, stream, faults[stream], want)
			}
		}
	}
	r, _ := Related(map[string]string{"m": "s", "s": ""})
	if r.Main("s") != "m" || r.Main("m") != "" || !slices.Equal(r.Subs("m"), []string{"s"}) || r.Subs("s") != nil {
		t.Errorf("the main stream of s is %q, the sub streams of m are %v", r.Main("s"), r.Subs("m"))
	}
	if none := (Relations{}).Of("m"); none != nil {
		t.Errorf("without relations it is of %v", none)
	}
}
