package localapi

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/changes"
	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/history"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/query"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
)

// at is a time of the recordings as a parameter.
func at(d time.Duration) string { return url.QueryEscape(begin.Add(d).Format(time.RFC3339Nano)) }

func TestStreamsAreListedWithTheirSums(t *testing.T) {
	t.Parallel()
	s := door(t, 0, time.Minute)
	a := serveOptions(t, Options{Store: s})
	var list []RecordedStream
	a.decode("/v1/streams", &list)
	usage := s.Usage("door")
	want := []RecordedStream{{Stream: "door", Segments: 2, UsedBytes: usage.Bytes, NotUploadedBytes: usage.Bytes, Oldest: begin,
		Newest: begin.Add(time.Minute + 9960*time.Millisecond)}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
}

func TestSegmentsOfATimeRange(t *testing.T) {
	t.Parallel()
	s := door(t, 0, 10*time.Second, time.Minute)
	seal(t, record(t, s, "yard", begin, 1))
	open := record(t, s, "door", begin.Add(2*time.Minute), 3)
	t.Cleanup(func() { _ = open.Abandon() })
	a := serveOptions(t, Options{Store: s})
	ms := func(d time.Duration) string { return fmt.Sprint(begin.Add(d).UnixMilli()) }
	for query, want := range map[string]string{
		"":                            "0 10 60(40) 120(50)w",
		"&from=" + at(10*time.Second): "10 60(40) 120(50)w",
		"&from=" + ms(10*time.Second): "10 60(40) 120(50)w",
		"&to=" + ms(10*time.Second):   "0",
		"&from=" + at(5*time.Second) + "&to=" + ms(61*time.Second):  "0 10 60(40)",
		"&from=" + at(30*time.Second) + "&to=" + at(40*time.Second): "",
		"&from=" + at(time.Hour):                                    "",
	} {
		var page SegmentPage
		a.decode("/v1/segments?stream=door"+query, &page)
		if got := inShort(page.Segments); got != want || page.Next != "" {
			t.Errorf("%s: %q %q, want %q", query, got, page.Next, want)
		}
		// The same in pages of each length.
		for limit := 1; limit < 4; limit++ {
			var all []Segment
			for next := "&limit=" + fmt.Sprint(limit); next != ""; {
				var page SegmentPage
				a.decode("/v1/segments?stream=door"+query+next, &page)
				if len(page.Segments) > limit {
					t.Fatalf("a page of %d has %d", limit, len(page.Segments))
				}
				all = append(all, page.Segments...)
				if next = ""; page.Next != "" {
					next = "&limit=" + fmt.Sprint(limit) + "&after=" + url.QueryEscape(page.Next)
				}
			}
			if got := inShort(all); got != want {
				t.Errorf("%s in pages of %d: %q, want %q", query, limit, got, want)
			}
		}
	}
}

// inShort names segments by their start, with the gap before them and whether they are being written.
func inShort(list []Segment) string {
	var words []string
	for _, l := range list {
		word := fmt.Sprint(int(l.Start.Sub(begin).Seconds()))
		if l.GapSeconds > 0 {
			word += fmt.Sprintf("(%.0f)", l.GapSeconds)
		}
		if l.State == "writing" {
			word += "w"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestGapsOfATimeRangeAndTheirCauses(t *testing.T) {
	t.Parallel()
	s := door(t, 0, 10*time.Second, time.Minute)
	w := record(t, s, "door", begin.Add(2*time.Minute), 3)
	writeSecond(t, w, 23*time.Second) // 20 s after the last
	writeSecond(t, w, 24*time.Second)
	seal(t, w)
	now := begin.Add(10 * time.Minute)
	// From 70 s on the camera refuses connections.
	snapshot := status.Snapshot{Time: begin, Streams: []status.Stream{{Name: "door"}}}
	feed := changes.New(changes.Options{Snapshot: func() status.Snapshot { return snapshot }, Now: func() time.Time { return begin }})
	feed.Compare()
	snapshot.Time = begin.Add(70 * time.Second)
	snapshot.Streams = []status.Stream{{Name: "door", Conditions: []status.Condition{{Job: health.JobRecorder, Condition: health.Condition{
		Code: "camera", Severity: health.Failed, Text: "The camera refuses connections."}}}}}
	feed.Compare()
	o := Options{Store: s, Agent: Agent{Configured: func() []string { return []string{"door", "new"} }, Changes: feed}}
	a := serveOptions(t, o, func(s *Server) { s.now = func() time.Time { return now } })
	all := []string{"20-60 unknown", "70-120 camera", "123-143 camera", "145-600 camera ongoing"}
	for query, want := range map[string][]string{
		"stream=door":                                                          all,
		"stream=door&limit=1":                                                  {},
		"stream=door&from=" + at(30*time.Second):                               all,
		"stream=door&from=" + at(65*time.Second):                               all[1:],
		"stream=door&to=" + at(10*time.Second):                                 {},
		"stream=door&to=" + at(30*time.Second):                                 all[:1],
		"stream=door&from=" + at(200*time.Second):                              all[3:],
		"stream=door&from=" + at(2*10*time.Minute):                             {},
		"stream=door&to=" + at(24*time.Hour):                                   all,
		"stream=new":                                                           {},
		"stream=door&from=1&to=" + at(-time.Second):                            {},
		"stream=door&from=" + at(30*time.Second) + "&to=" + at(40*time.Second): all[:1],
	} {
		var page GapPage
		a.decode("/v1/gaps?"+query, &page)
		got := []string{}
		for _, g := range page.Gaps {
			line := fmt.Sprintf("%.0f-%.0f %s", g.From.Sub(begin).Seconds(), g.To.Sub(begin).Seconds(), g.Cause)
			if g.Ongoing {
				line += " ongoing"
			}
			if (g.Cause == "camera") != (g.Text != "") || g.Seconds != g.To.Sub(g.From).Seconds() {
				t.Errorf("%+v", g)
			}
			got = append(got, line)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	var pages []Gap
	for next := "&limit=1"; next != ""; {
		var page GapPage
		a.decode("/v1/gaps?stream=door"+next, &page)
		pages = append(pages, page.Gaps...)
		if next = ""; page.Next != "" {
			next = "&limit=1&after=" + page.Next
		}
	}
	if len(pages) != len(all) {
		t.Errorf("in pages of a segment: %+v", pages)
	}
}

func TestFragmentsOfATimeRange(t *testing.T) {
	t.Parallel()
	s := door(t, 0, time.Minute)
	key := segment.Key{Stream: "door", Start: begin.UnixMilli()}
	r, err := s.OpenSegment(key)
	if err != nil {
		t.Fatal(err)
	}
	fragments, _, err := r.Fragments()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	if err := s.MarkPersisted(key, fragments[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.MarkRefused(key, fragments[1], "4006 INVALID_MKV_DATA"); err != nil {
		t.Fatal(err)
	}
	open := record(t, s, "door", begin.Add(2*time.Minute), 3)
	t.Cleanup(func() { _ = open.Abandon() })
	a := serveOptions(t, Options{Store: s})
	for _, limit := range []int{1, 2, 3, 7, 10, 11, 100} {
		var all []Fragment
		for next := ""; ; {
			var page FragmentPage
			a.decode(fmt.Sprintf("/v1/fragments?stream=door&limit=%d%s", limit, next), &page)
			all = append(all, page.Fragments...)
			if page.Next == "" {
				break
			}
			next = "&after=" + url.QueryEscape(page.Next)
		}
		if len(all) != 23 {
			t.Fatalf("in pages of %d: %d fragments", limit, len(all))
		}
		for i, f := range all {
			want := begin.Add(time.Duration(i/10)*time.Minute + time.Duration(i%10)*time.Second)
			state := map[int]string{0: "uploaded", 1: "refused"}[i]
			if state == "" {
				state = "pending"
			}
			if !f.Start.Equal(want) || !f.End.Equal(want.Add(960*time.Millisecond)) || f.Frames != 25 || !f.Keyframe || f.State != state ||
				f.Bytes < 25*200 || f.Offset == 0 {
				t.Errorf("%d: %+v", i, f)
			}
		}
	}
	var page FragmentPage
	a.decode("/v1/fragments?stream=door&from="+at(5*time.Second)+"&to="+at(61*time.Second), &page)
	if len(page.Fragments) != 6 {
		t.Errorf("%+v", page)
	}
}

// TestTheFileOfASegment is served whole and in ranges, to HEAD and with conditions.
func TestTheFileOfASegment(t *testing.T) {
	t.Parallel()
	s := door(t, 0)
	key := segment.Key{Stream: "door", Start: begin.UnixMilli()}
	want, err := os.ReadFile(s.Path(key))
	if err != nil {
		t.Fatal(err)
	}
	open := record(t, s, "door", begin.Add(time.Minute), 3)
	t.Cleanup(func() { _ = open.Abandon() })
	a := serveOptions(t, Options{Store: s})
	address := "http://agent/v1/segment?stream=door&segment=" + key.ID().String()
	ask := func(method, field, value string) (*http.Response, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if field != "" {
			req.Header.Set(field, value)
		}
		resp, err := a.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp, body(t, resp)
	}
	resp, text := ask(http.MethodGet, "", "")
	tag := resp.Header.Get("ETag")
	if text != string(want) || resp.Header.Get("Content-Type") != typeMatroska || tag == "" {
		t.Errorf("%d bytes of %d, %v", len(text), len(want), resp.Header)
	}
	for _, tc := range []struct {
		method, field, value string
		status               int
		want                 string
	}{
		{http.MethodHead, "", "", 200, ""},
		{http.MethodGet, "Range", "bytes=0-3", 206, string(want[:4])},
		{http.MethodGet, "Range", "bytes=-5", 206, string(want[len(want)-5:])},
		{http.MethodGet, "Range", "bytes=100000000-", 416, ""},
		{http.MethodGet, "If-None-Match", tag, 304, ""},
		{http.MethodGet, "If-None-Match", `"other"`, 200, string(want)},
	} {
		resp, text := ask(tc.method, tc.field, tc.value)
		if resp.StatusCode != tc.status || tc.want != "" && text != tc.want {
			t.Errorf("%s %s %s: %s, %d bytes", tc.method, tc.field, tc.value, resp.Status, len(text))
		}
	}
	address = "http://agent/v1/segment?stream=door&segment=" + open.Key().ID().String()
	if resp, text := ask(http.MethodGet, "", ""); resp.StatusCode != 200 || len(text) < 3*25*200 {
		t.Errorf("one that is being written: %s, %d bytes", resp.Status, len(text))
	}
}

// TestWhatIsAskedWrong goes through all routes that read.
func TestWhatIsAskedWrong(t *testing.T) {
	t.Parallel()
	s := door(t, 0)
	sign, _ := signing(t, s)
	a := serveOptions(t, Options{Store: s, Agent: Agent{
		Configured: func() []string { return []string{"new"} },
		Evidence:   sign,
		History:    history.New(history.Options{}).Since,
		Events:     func(string, time.Time, time.Time, int) []Event { return []Event{} },
	}})
	const segmentName = "20261121T042048.123Z"
	for _, route := range Routes() {
		if len(route.Params) == 0 || route.Type == typeEvents || route.Method != http.MethodGet {
			continue
		}
		good := url.Values{}
		for _, p := range route.Params {
			if value := map[string]string{"stream": "door", "segment": segmentName}[p.Name]; value != "" {
				good.Set(p.Name, value)
			}
		}
		if status, body := a.get(route.Path + "?" + good.Encode()); status != http.StatusOK {
			t.Errorf("%s: %d %s", route.Path, status, body)
		}
		check := func(want int, code, name string, values ...string) {
			q, _ := url.ParseQuery(good.Encode())
			if q.Del(name); values != nil {
				q[name] = values
			}
			resp, err := a.http.Get("http://agent" + route.Path + "?" + q.Encode())
			if err != nil {
				t.Fatal(err)
			}
			text := body(t, resp)
			if resp.StatusCode != want || resp.Header.Get(ErrorHeader) != code || strings.Count(text, "\n") != 1 {
				t.Errorf("%s?%s: %s, code %q, %q; want %d, %s", route.Path, q.Encode(), resp.Status, resp.Header.Get(ErrorHeader), text, want, code)
			}
		}
		check(400, codeParameter, "colour", "red")
		for _, p := range route.Params {
			check(400, codeParameter, p.Name, "a", "b")
			if p.Required {
				check(400, codeParameter, p.Name)
				check(400, codeParameter, p.Name, "")
			}
			switch p.Name {
			case "stream":
				for _, name := range []string{"nosuch", "../door", "..", ".", "/etc/passwd", "door/" + segmentName, "%2e%2e", "door\x00", "DOOR",
					strings.Repeat("x", 5000)} {
					check(404, codeStream, "stream", name)
				}
			case "segment":
				check(404, codeSegment, "segment", "20261121T042049.123Z")
				check(404, codeSegment, "segment", "e000001-20261121T042048.123Z")
				for _, name := range []string{"../" + segmentName, segmentName + "+9960.sealed.mkv", "..", "x"} {
					check(400, codeParameter, "segment", name)
				}
			case "from", "to":
				for _, value := range []string{"yesterday", "2026-11-21", "-1", "0", "99999999999999999999", "253402300800000", "1.5", "",
					"2026-11-21T04:20:00", "0001-01-01T00:00:00Z", "2026-13-21T04:20:00Z"} {
					check(400, codeParameter, p.Name, value)
				}
			case "limit":
				for _, value := range []string{"0", "-1", "10001", "many", ""} {
					check(400, codeParameter, "limit", value)
				}
			case "read":
				for _, value := range []string{"-1", "10001", "all"} {
					check(400, codeParameter, "read", value)
				}
			case "after":
				for _, value := range []string{"../x", "20261121", segmentName + "/-1", segmentName + "/x", ""} {
					check(400, codeParameter, "after", value)
				}
			}
		}
		if slices.ContainsFunc(route.Params, func(p query.Param) bool { return p.Name == "to" }) {
			status, body := a.get(route.Path + "?" + good.Encode() + "&from=2000&to=1000")
			if status != 400 || !strings.Contains(body, "from is not before to") {
				t.Errorf("%s: %d %s", route.Path, status, body)
			}
		}
	}
}

// TestNoRouteTakesALargeBody, whether it wants one or not.
func TestNoRouteTakesALargeBody(t *testing.T) {
	t.Parallel()
	a := serveOptions(t, Options{Store: door(t, 0), Agent: whole(func(what string) { t.Errorf("the agent did %s", what) })})
	for _, route := range Routes() {
		text, status := send(t, a.http, route.Method, "http://agent"+route.Path, strings.Repeat("x", maxBody+1))
		if status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s %s: %d %s", route.Method, route.Path, status, text)
		}
	}
}

// TestMethodsOfEachRoute tries all others, and HEAD where GET is.
func TestMethodsOfEachRoute(t *testing.T) {
	t.Parallel()
	s := door(t, 0)
	agent := whole(func(string) {})
	a := serveOptions(t, Options{Store: s, Agent: agent, Uploads: Uploads{Counted: door21{}}})
	allowed := make(map[string][]string)
	for _, route := range Routes() {
		allowed[route.Path] = append(allowed[route.Path], route.Method)
	}
	for path, methods := range allowed {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			want := http.StatusMethodNotAllowed
			for _, m := range methods {
				if m == method || m == http.MethodGet && method == http.MethodHead {
					want = 0
				}
			}
			_, status := send(t, a.http, method, "http://agent"+path+"?stream=door&segment=20261121T042048.123Z", "INFO")
			if want != 0 && status != want || want == 0 && status == http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, status)
			}
			if method == http.MethodHead && want == 0 && status != http.StatusOK && status != http.StatusBadRequest {
				t.Errorf("HEAD %s: %d", path, status)
			}
		}
	}
	for _, path := range []string{"/", "/v1", "/v1/", "/v1/segments/door", "/v2/status", "/v1/status/../nosuch",
		"/v1/%2e%2e/%2e%2e/etc/passwd"} {
		if status, _ := a.get(path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// TestWithoutAnAgentRecordingsAreServed has a store only, and a server of neither.
func TestWithoutAnAgentRecordingsAreServed(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{"a store": {Store: door(t, 0)}, "nothing": {}} {
		a := serveOptions(t, o)
		for _, route := range Routes() {
			resp, err := a.http.Get("http://agent" + route.Path + "?stream=door&segment=20261121T042048.123Z")
			if err != nil {
				t.Fatal(err)
			}
			_ = body(t, resp)
			none := resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusBadRequest
			if route.Method == http.MethodGet && o.Store == nil && !none {
				t.Errorf("%s: GET %s: %s", name, route.Path, resp.Status)
			}
			if resp.StatusCode >= 500 {
				t.Errorf("%s: GET %s: %s", name, route.Path, resp.Status)
			}
		}
	}
}

// door21 is a tally with a fragment of a day.
type door21 struct{}

func (door21) Streams() []string { return []string{"door"} }

func (door21) Days(string) (map[string]tally.Day, time.Time) {
	return map[string]tally.Day{time.Now().UTC().Format(time.DateOnly): {Bytes: 1 << 30, Fragments: 1000, Calls: 1}}, time.Time{}
}

// TestCostsAndHistoryOverTheLocalAPI come as they are kept.
func TestCostsAndHistoryOverTheLocalAPI(t *testing.T) {
	t.Parallel()
	past := history.New(history.Options{})
	past.Add(history.Sample{Time: begin, DiskUsed: 3, DiskTotal: 4, UsedBytes: map[string]int64{"door": 1}})
	a := serveOptions(t, Options{Agent: Agent{History: past.Since}, Uploads: Uploads{Counted: door21{},
		Storage: func(string) (string, *int) { return cost.Warm, nil }}})
	var costs history.Costs
	a.decode("/v1/costs", &costs)
	prices := cost.Embedded()
	last := costs.Days[len(costs.Days)-1]
	if last.Ingest != prices.Warm.IngestPerThousandFragments || last.Calls != 1 || costs.TierAssumed != nil {
		t.Errorf("%+v", costs)
	}
	var series history.Series
	a.decode("/v1/history?from="+at(-time.Hour), &series)
	if len(series.Times) != 1 || series.DiskUsed[0] != 3 || series.Streams[0].Name != "door" || !series.Since.Equal(begin) {
		t.Errorf("%+v", series)
	}
}
