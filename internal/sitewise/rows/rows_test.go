package rows_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/rows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var limits = rows.Limits{Span: 24 * time.Hour, Fragments: 5000, Gap: 2 * time.Second}

// media are chunks of one fragment of 2 s each.
func media(from, to int64) (list []rows.Chunk) {
	for at := from; at < to; at += 2000 {
		list = append(list, rows.Chunk{From: at, To: min(at+2000, to), Fragments: 1, Longest: 2000})
	}
	return list
}

// TestTheRowsOfTheConnector has the rows of the edge connector's behaviour by their numbers, and what the agent writes instead.
func TestTheRowsOfTheConnector(t *testing.T) {
	t.Parallel()
	const hour = 3600_000
	for name, row := range map[string]struct {
		points []int64
		chunks []rows.Chunk
		limits rows.Limits
		want   []rows.Row
	}{
		"18a: a row is as long as its media, not six minutes": {nil, media(10_400, 10*60_000+10_400), limits,
			[]rows.Row{{10, 610_400}}},
		"18a: a row grows in place": {[]int64{10}, media(10_400, hour), limits, []rows.Row{{10, hour}}},
		"18a: the base is the media's start, not the request's": {nil, media(61_700, 90_700), limits,
			[]rows.Row{{61, 90_700}}},
		"18a: at most 24 hours": {nil, []rows.Chunk{{From: 0, To: 20 * hour}, {From: 20 * hour, To: 30 * hour}}, limits,
			[]rows.Row{{0, 20 * hour}, {72_000, 30 * hour}}},
		"18a: at most 24 hours, also of one chunk": {nil, []rows.Chunk{{From: 0, To: 60 * hour}}, limits,
			[]rows.Row{{0, 24 * hour}, {86_400, 48 * hour}, {172_800, 60 * hour}}},
		"18a: at most 5,000 fragments": {nil, slices.Concat(counted(0, 40, 250, 500_000)), limits,
			[]rows.Row{{0, 20 * 500_000}, {10_000, 40 * 500_000}}},
		"18b: a gap begins a row": {nil, slices.Concat(media(0, 60_000), media(64_100, 90_000)), limits,
			[]rows.Row{{0, 60_000}, {64, 90_000}}},
		"18b: two fragments are not a gap": {nil, slices.Concat(media(0, 60_000), media(64_000, 90_000)), limits,
			[]rows.Row{{0, 90_000}}},
		"18b: the running file's length counts": {nil, []rows.Chunk{{From: 5_000, To: 5_000 + 59_000}}, limits,
			[]rows.Row{{5, 64_000}}},
		"18c: a stretch on the disk has a positive width": {nil, []rows.Chunk{{From: 5_000, To: 600_000}},
			rows.Limits{Span: 24 * time.Hour, Gap: 2 * time.Second}, []rows.Row{{5, 600_000}}},
		"19: a row shrinks when its beginning is deleted": {[]int64{10}, media(300_000, hour), limits,
			[]rows.Row{{10, 10_000}, {300, hour}}},
		"19: all of a row is deleted": {[]int64{10, 300}, nil, limits, []rows.Row{{10, 10_000}, {300, 300_000}}},
		"19: media in the middle is deleted": {[]int64{0}, slices.Concat(media(0, 100_000), media(200_000, 300_000)), limits,
			[]rows.Row{{0, 100_000}, {200, 300_000}}},
		"20: a gap that is filled later leaves its points, which never overlap": {[]int64{0, 100}, media(0, 200_000), limits,
			[]rows.Row{{0, 100_000}, {100, 200_000}}},
		"20: what begins before a row that SiteWise has": {[]int64{100}, media(50_000, 200_000), limits,
			[]rows.Row{{50, 100_000}, {100, 200_000}}},
		"18c: a row for each segment": {nil, []rows.Chunk{{From: 0, To: 302_000}, {From: 302_040, To: 604_000}},
			rows.Limits{Span: 10 * time.Minute, Gap: 2 * time.Second, Each: true}, []rows.Row{{0, 302_000}, {302, 604_000}}},
		"a pause where a row is full": {nil, []rows.Chunk{{From: 0, To: 179_000}, {From: 181_000, To: 182_000}},
			rows.Limits{Span: 3 * time.Minute, Gap: 2 * time.Second}, []rows.Row{{0, 180_000}, {180, 182_000}}},
		"a pause before a point": {[]int64{0, 181}, []rows.Chunk{{From: 0, To: 179_000}, {From: 181_000, To: 182_000}},
			rows.Limits{Span: 3 * time.Minute, Gap: 2 * time.Second}, []rows.Row{{0, 180_000}, {180, 181_000}, {181, 182_000}}},
		"overlapping chunks": {nil, []rows.Chunk{{From: 0, To: 9000}, {From: 1000, To: 4000}, {From: 5000, To: 12_000}}, limits,
			[]rows.Row{{0, 12_000}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(row.want, rows.Desired(row.points, row.chunks, row.limits)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// counted are chunks of that many fragments.
func counted(from int64, chunks, fragments int, length int64) (list []rows.Chunk) {
	for i := range int64(chunks) {
		list = append(list, rows.Chunk{From: from + i*length, To: from + (i+1)*length, Fragments: fragments, Longest: length / int64(fragments)})
	}
	return list
}

// span is what exists, in Unix ms.
type span struct{ from, to int64 }

// seen is what AWS's player makes of points in a view: those within it, and the last one before, carried forward.
func seen(points []rows.Row, view span) (list []span) {
	before := -1
	for i, p := range points {
		at := p.Start * 1000
		if at <= view.from/1000*1000 {
			before = i
		}
		if at >= view.from-1 && at <= view.to {
			list = append(list, span{max(at, view.from), min(p.End, view.to)})
		}
	}
	if before >= 0 && points[before].End > view.from/1000*1000 {
		list = append(list, span{view.from, min(points[before].End, view.to)})
	}
	return list
}

// has reports whether one of the spans has a time.
func has(list []span, at int64) bool {
	return slices.ContainsFunc(list, func(s span) bool { return s.from <= at && at < s.to })
}

// TestAPlayerSeesWhatExists: whatever there was before, each view shows what exists, to the second, and no row exceeds its limits.
func TestAPlayerSeesWhatExists(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var points []int64
		l := rows.Limits{Span: 3 * time.Minute, Gap: 2 * time.Second}
		for step := range rapid.IntRange(1, 6).Draw(t, "steps") {
			chunks, truth := draw(t, fmt.Sprint(step), l.Gap.Milliseconds())
			got := rows.Desired(points, chunks, l)
			for i, r := range got {
				if i > 0 && (r.Start <= got[i-1].Start || got[i-1].End > r.Start*1000) {
					t.Fatalf("the rows %v and %v overlap", got[i-1], r)
				}
				if r.End-r.Start*1000 > l.Span.Milliseconds() {
					t.Fatalf("the row %v is longer than %s", r, l.Span)
				}
			}
			for _, p := range points {
				if !slices.ContainsFunc(got, func(r rows.Row) bool { return r.Start == p }) {
					t.Fatalf("the point %d that SiteWise has is forgotten", p)
				}
			}
			for view := range 20 {
				v := span{from: rapid.Int64Range(0, 1_100_000).Draw(t, fmt.Sprint("from", view))}
				v.to = v.from + rapid.Int64Range(1000, 1_000_000).Draw(t, fmt.Sprint("length", view))
				compare(t, truth, seen(got, v), v)
			}
			points = points[:0]
			for _, r := range got {
				points = append(points, r.Start)
			}
		}
	})
}

// draw returns media, and its stretches.
func draw(t *rapid.T, label string, gap int64) (chunks []rows.Chunk, truth []span) {
	at := rapid.Int64Range(0, 100_000).Draw(t, label+"begin")
	for i := range rapid.IntRange(0, 12).Draw(t, label+"chunks") {
		length := rapid.Int64Range(1, 200_000).Draw(t, fmt.Sprint(label, "length", i))
		chunks = append(chunks, rows.Chunk{From: at, To: at + length})
		if n := len(truth); n > 0 && at-truth[n-1].to <= gap {
			truth[n-1].to = at + length
		} else {
			truth = append(truth, span{at, at + length})
		}
		at += length + rapid.SampledFrom([]int64{0, 1, 1500, 2000, 2001, 3500, 60_000}).Draw(t, fmt.Sprint(label, "gap", i))
	}
	return chunks, truth
}

// compare compares what is seen with what exists, each half second, and forgives what is within a second.
func compare(t *rapid.T, truth, shown []span, view span) {
	for at := view.from; at < view.to; at += 500 {
		is, shows := has(truth, at), has(shown, at)
		near := slices.ContainsFunc(truth, func(s span) bool { return s.from <= at+1000 && s.to >= at-1000 })
		whole := slices.ContainsFunc(truth, func(s span) bool { return s.from < at-1000 && s.to > at+1000 })
		if is == shows || shows && near || is && !whole {
			continue
		}
		t.Fatalf("in the view %v at %d it shows %t, and exists is %t\nmedia %v\nshown %v", view, at, shows, is, truth, shown)
	}
}
