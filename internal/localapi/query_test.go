package localapi

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/query"
)

// FuzzQuery: whatever is asked, what is understood is within bounds.
func FuzzQuery(f *testing.F) {
	for _, text := range []string{
		"stream=door", "stream=door&from=2026-11-21T04:20:00Z&to=1795769018500", "stream=..%2F&limit=10000&after=20261121T042048.123Z/7",
		"stream=a&stream=b", "stream=door&from=-1", "stream=door&after=e000001-20261121T042048.123Z/-9&read=10001", "%zz=1", "stream=door;from=1",
		"stream=door&from=0001-01-01T00:00:00%2B23:59", "stream=door&limit=1e3", "stream=door&to=9999-12-31T23:59:59.999Z",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, route := range Routes() {
			if len(route.Params) == 0 {
				continue
			}
			q, err := query.Parse(route.Path, route.Params, &http.Request{URL: &url.URL{RawQuery: text}})
			if err != nil {
				if err.Error() == "" {
					t.Errorf("%s is refused without a word", text)
				}
				continue
			}
			first, last := time.UnixMilli(1), time.UnixMilli(253402300800000)
			for _, at := range []time.Time{q.From, q.To} {
				if !at.IsZero() && (at.Before(first) || !at.Before(last)) {
					t.Errorf("%s has the time %s", text, at)
				}
			}
			if q.Limit < 1 || q.Limit > query.MaxLimit || q.Read < 0 || q.Read > query.MaxLimit || q.Skip < 0 {
				t.Errorf("%s is %+v", text, q)
			}
			if required := route.Params[0].Required; required && q.Stream == "" {
				t.Errorf("%s names no stream", text)
			}
		}
	})
}
