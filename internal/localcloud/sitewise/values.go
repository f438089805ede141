package sitewise

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/state"
)

// The qualities of values.
const (
	qualityGood = "GOOD"
)

// variant is a value; exactly one of its members is not nil.
type variant struct {
	String  *string  `json:"stringValue,omitempty"`
	Integer *int64   `json:"integerValue,omitempty"`
	Double  *float64 `json:"doubleValue,omitempty"`
	Boolean *bool    `json:"booleanValue,omitempty"`
	Null    *null    `json:"nullValue,omitempty"`
}

type null struct {
	Type string `json:"valueType"`
}

// members counts those that exist.
func (v variant) members() (n int) {
	for _, there := range []bool{v.String != nil, v.Integer != nil, v.Double != nil, v.Boolean != nil, v.Null != nil} {
		if there {
			n++
		}
	}
	return n
}

func (v variant) same(other variant) bool {
	a, _ := json.Marshal(v) // numbers of JSON and texts marshal
	b, _ := json.Marshal(other)
	return bytes.Equal(a, b)
}

// tqv is a value with its time and quality.
type tqv struct {
	Value   variant `json:"value"`
	Time    instant `json:"timestamp"`
	Quality string  `json:"quality"`
}

// compare orders by time, and by quality where values of several have one time.
func (v tqv) compare(other tqv) int {
	return cmp.Or(v.Time.compare(other.Time), cmp.Compare(v.Quality, other.Quality))
}

// key names a property of an asset.
type key struct{ Asset, Property string }

// series are the values of a property, in order, with the one that was put last.
type series struct {
	list []tqv
	last map[instant]string // the quality that was put last, of times that have several
}

// add puts a value, which replaces one of the same time and quality.
func (s *series) add(v tqv) {
	i, found := slices.BinarySearchFunc(s.list, v, tqv.compare)
	if found {
		s.list[i] = v
	} else {
		s.list = slices.Insert(s.list, i, v)
	}
	if i > 0 && s.list[i-1].Time == v.Time || i+1 < len(s.list) && s.list[i+1].Time == v.Time {
		if s.last == nil {
			s.last = map[instant]string{}
		}
		s.last[v.Time] = v.Quality
	}
}

// latest is the value with the latest time, of those of one time the one that was put last.
func (s *series) latest() (v tqv, ok bool) {
	if s == nil || len(s.list) == 0 {
		return tqv{}, false
	}
	v = s.list[len(s.list)-1]
	if quality := s.last[v.Time]; quality != "" {
		i, _ := slices.BinarySearchFunc(s.list, tqv{Time: v.Time, Quality: quality}, tqv.compare)
		v = s.list[i]
	}
	return v, true
}

// store has the values of all properties. A file has a line of JSON for each put, in the order of arrival.
type store struct {
	mu   sync.Mutex
	all  map[key]*series
	file *os.File
}

// line of the file. One without a property drops all values of an asset.
type line struct {
	Asset    string `json:"asset"`
	Property string `json:"property,omitempty"`
	Values   []tqv  `json:"values,omitempty"`
}

// openStore reads a file and writes it again without what was replaced since, and without a torn last line.
func openStore(path string) (*store, error) {
	s := &store{all: map[key]*series{}}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the SiteWise values of the local cloud: %w", err)
	}
	for text := range bytes.Lines(data) {
		var l line
		if json.Unmarshal(text, &l) == nil {
			s.apply(l)
		}
	}
	var kept bytes.Buffer
	encoder := json.NewEncoder(&kept)
	for k, values := range s.all {
		if err := encoder.Encode(line{k.Asset, k.Property, values.list}); err != nil {
			return nil, fmt.Errorf("cannot write the SiteWise values of the local cloud: %w", err)
		}
	}
	if err := state.ReplaceFile(path, kept.Bytes()); err != nil {
		return nil, fmt.Errorf("cannot write the SiteWise values of the local cloud: %w", err)
	}
	if s.file, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("cannot open the SiteWise values of the local cloud: %w", err)
	}
	return s, nil
}

func (s *store) close() error { return s.file.Close() }

func (s *store) add(k key, values []tqv) {
	if s.all[k] == nil {
		s.all[k] = new(series)
	}
	for _, v := range values {
		s.all[k].add(v)
	}
}

// apply does what a line says.
func (s *store) apply(l line) {
	if l.Property == "" {
		maps.DeleteFunc(s.all, func(k key, _ *series) bool { return k.Asset == l.Asset })
		return
	}
	s.add(key{l.Asset, l.Property}, l.Values)
}

// put keeps values of a property, all of them or none.
func (s *store) put(k key, values []tqv) error { return s.write(line{k.Asset, k.Property, values}) }

// drop ends the values of an asset.
func (s *store) drop(asset string) error { return s.write(line{Asset: asset}) }

func (s *store) write(l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("cannot keep values: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.file.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("cannot keep values: %w", err)
	}
	s.apply(l)
	return nil
}

// latest is the current value of a property.
func (s *store) latest(k key) (v tqv, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[k].latest()
}

// list returns the values of a property, in order, that are wanted.
func (s *store) list(k key, wanted func(tqv) bool) (list []tqv) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[k] == nil {
		return nil
	}
	for _, v := range s.all[k].list {
		if wanted(v) {
			list = append(list, v)
		}
	}
	return list
}
