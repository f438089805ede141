package progress

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Refusal is a fragment that the service does not accept.
type Refusal struct {
	Start, Last time.Duration // since the segment's start
	Size        int64
	Code        string // the service's error, such as 4006 INVALID_MKV_DATA
	At          int64  // of the last refusal, Unix ms; 0 when it is not known
	Tries       int    // how often it was queued again automatically
}

// Refusals are a stream's refused fragments. Those that wait for another try are not among them. The zero value is empty.
type Refusals struct {
	Of    map[layout.ID][]Refusal
	Count int
	Bytes int64
}

// Add adds a refusal.
func (r *Refusals) Add(k layout.ID, one Refusal) {
	if r.Of == nil {
		r.Of = make(map[layout.ID][]Refusal)
	}
	r.Of[k] = append(r.Of[k], one)
	r.Count++
	r.Bytes += one.Size
}

// Take removes a fragment's refusal.
func (r *Refusals) Take(k layout.ID, start time.Duration) (one Refusal, ok bool) {
	i := slices.IndexFunc(r.Of[k], func(x Refusal) bool { return x.Start == start })
	if i < 0 {
		return one, false
	}
	one = r.Of[k][i]
	if r.Of[k] = slices.Delete(r.Of[k], i, i+1); len(r.Of[k]) == 0 {
		delete(r.Of, k)
	}
	r.Count--
	r.Bytes -= one.Size
	return one, true
}

// Drop removes the refusals of a segment.
func (r *Refusals) Drop(k layout.ID) {
	for _, one := range r.Of[k] {
		r.Count--
		r.Bytes -= one.Size
	}
	delete(r.Of, k)
}

// Sum counts a segment's refused fragments and their bytes.
func (r *Refusals) Sum(k layout.ID) (count int, bytes int64) {
	for _, one := range r.Of[k] {
		bytes += one.Size
	}
	return len(r.Of[k]), bytes
}

// streamReadError is the one code of the service for an event of the connection.
const streamReadError = "4000"

// byService reports whether a reason is the service's, or begins with a code like one: a number, or a name where the service
// sent none. Versions that refused fragments when the connection broke noted a sentence.
func byService(reason string) bool {
	code := codeOf(reason)
	if n, err := strconv.Atoi(code); err == nil {
		return n > 0 && code != streamReadError
	}
	return strings.Contains(code, "_") && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// codeOf returns what the reasons of fragments that were refused for the same reason have in common.
func codeOf(reason string) string {
	code, _, _ := strings.Cut(strings.TrimSpace(reason), " ")
	return code
}

// SameCode reports whether both were refused for the same reason.
func SameCode(a, b string) bool { return codeOf(a) == codeOf(b) }
