package desired

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

// maxSubs bounds how many streams a main stream may name: cameras have few profiles, and a tag has 256 characters.
const maxSubs = 8

// ParseMainOf reads the value of TagMainOf on a stream: the names of its sub streams, separated by spaces or commas. An empty
// value names none. The error continues a sentence that begins with the tag.
func ParseMainOf(stream, value string) (subs []string, err error) {
	names := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	for _, name := range names {
		switch {
		case !kvslimit.IsStreamName(name):
			return nil, fmt.Errorf("must be the names of streams (letters, digits, or _.- each), separated by spaces")
		case name == stream:
			return nil, fmt.Errorf("must not name the stream itself, but its sub stream")
		case slices.Contains(subs, name):
			return nil, fmt.Errorf("must name each sub stream once")
		}
		subs = append(subs, name)
	}
	if len(subs) > maxSubs {
		return nil, fmt.Errorf("must name at most %d sub streams", maxSubs)
	}
	return subs, nil
}

// Relations are which of a hub's streams are of the same camera: a main stream and its sub streams. The zero value has none.
type Relations struct {
	main map[string]string   // by sub stream
	subs map[string][]string // by main stream, sorted
}

// Related reads the relations of a hub's streams, given each with its value of TagMainOf. What is wrong of a value does not
// count, and is in faults by stream: it continues a sentence that begins with the tag.
func Related(mainOf map[string]string) (r Relations, faults map[string]string) {
	r = Relations{main: make(map[string]string), subs: make(map[string][]string)}
	faults = make(map[string]string)
	named := make(map[string][]string)
	for _, stream := range slices.Sorted(maps.Keys(mainOf)) {
		subs, err := ParseMainOf(stream, mainOf[stream])
		if err != nil {
			faults[stream] = err.Error()
			continue
		}
		if len(subs) > 0 {
			named[stream] = subs
		}
	}
	for _, stream := range slices.Sorted(maps.Keys(named)) {
		for _, sub := range named[stream] {
			_, exists := mainOf[sub]
			_, isMain := named[sub]
			other, taken := r.main[sub]
			switch {
			case !exists:
				faults[stream] = fmt.Sprintf("names stream %s, which is not configured on this hub", sub)
			case isMain:
				faults[stream] = fmt.Sprintf("names stream %s, which is a main stream itself: a main stream cannot be a sub stream", sub)
			case taken:
				faults[stream] = fmt.Sprintf("names stream %s, whose main stream is %s already", sub, other)
			default:
				r.main[sub] = stream
				r.subs[stream] = append(r.subs[stream], sub)
			}
		}
		slices.Sort(r.subs[stream])
	}
	return r, faults
}

// Main returns the main stream of a sub stream; empty for any other stream.
func (r Relations) Main(stream string) string { return r.main[stream] }

// Subs returns the sub streams of a main stream, sorted.
func (r Relations) Subs(stream string) []string { return slices.Clone(r.subs[stream]) }

// Of returns the other streams of the same camera, sorted: an event of one of them is an event of all.
func (r Relations) Of(stream string) []string {
	main := stream
	if m, ok := r.main[stream]; ok {
		main = m
	}
	var others []string
	for _, name := range append([]string{main}, r.subs[main]...) {
		if name != stream {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return others
}
