// Package query reads the parameters of requests to the local API: which there are, what each may say, and what a request without them
// means. It must not know what is answered.
package query

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/param"
	"github.com/kvs-edge/kvs-edge-agent/internal/overview"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/export"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Param is a parameter of a route, in the query of its address.
type Param struct {
	Name     string
	Doc      string
	Required bool

	// Set reads its value; nil: its route does.
	Set func(q *Query, value string) error
}

// Query is what the parameters of a request say.
type Query struct {
	Stream   string
	From, To time.Time // [From, To); a zero time is unbounded
	Limit    int       // of segments, or of fragments
	After    layout.ID // list from this segment on, which was listed already; layout.First: from the beginning
	Resumes  bool      // After is set
	Skip     int       // of the segment After: so many fragments were listed already
	Read     int       // segments that may be read for the gaps within them
	Segment  layout.ID
	Hold     string // an ID
	Format   export.Format
	Columns  int
}

const (
	// defaultLimit and MaxLimit bound a page of a list.
	defaultLimit = 1000
	MaxLimit     = 10_000
	// defaultRead is how many segments of earlier versions are read for the gaps within them without being asked.
	defaultRead = 50
)

var formats = map[string]export.Format{"mkv": export.Matroska, "mp4": export.MP4}

// The parameters.
var (
	Stream = Param{"stream", "The name of a stream that has recordings or is configured.", true,
		func(q *Query, value string) error { q.Stream = value; return nil }}
	AnyStream = Param{"stream", "The name of a stream. Default: all.", false, Stream.Set}
	From      = Param{"from", "The earliest time, inclusive: RFC 3339, or milliseconds since 1970. Default: the first recording.", false,
		func(q *Query, value string) (err error) { q.From, err = param.Time(value); return err }}
	To = Param{"to", "The latest time, exclusive: as `from`. Default: now.", false,
		func(q *Query, value string) (err error) { q.To, err = param.Time(value); return err }}
	Limit = Param{"limit", fmt.Sprintf("The length of a page, 1 to %d. Default: %d.", MaxLimit, defaultLimit), false,
		func(q *Query, value string) (err error) { q.Limit, err = param.Number(value, 1, MaxLimit); return err }}
	After = Param{"after", "The `next` of the page before. Default: the first page.", false,
		func(q *Query, value string) error {
			id, skip, _ := strings.Cut(value, "/")
			var err error
			q.After, q.Resumes = layout.ParseID(id)
			if skip != "" {
				q.Skip, err = strconv.Atoi(skip)
			}
			if !q.Resumes || err != nil || q.Skip < 0 {
				return fmt.Errorf("must be the `next` of a page of the same list")
			}
			return nil
		}}
	Read = Param{"read", fmt.Sprintf("How many segments of earlier versions, which did not note gaps, are read for those within "+
		"them: 0 to %d. Default: %d.", MaxLimit, defaultRead), false,
		func(q *Query, value string) (err error) { q.Read, err = param.Number(value, 0, MaxLimit); return err }}
	Format = Param{"format", "The container: `mkv` or `mp4`. Default: `mkv`.", false,
		func(q *Query, value string) error {
			var known bool
			if q.Format, known = formats[value]; known {
				return nil
			}
			return errors.New("must be mkv or mp4")
		}}
	Columns = Param{"columns", fmt.Sprintf("How many columns, 1 to %d. Default: %d.", overview.MaxColumns, overview.DefaultColumns),
		false,
		func(q *Query, value string) (err error) {
			q.Columns, err = param.Number(value, 1, overview.MaxColumns)
			return err
		}}
	Hold = Param{"hold", "The `id` of a hold.", true,
		func(q *Query, value string) error { q.Hold = value; return nil }}
	Segment = Param{"segment", "The `segment` of a list of segments.", true,
		func(q *Query, value string) error {
			id, ok := layout.ParseID(value)
			if !ok {
				return fmt.Errorf("must be the `segment` of a list of segments")
			}
			q.Segment = id
			return nil
		}}
)

// Parse reads the parameters of a request to a path that takes those of the list. An error is a sentence for who asks. A parameter that the
// route does not have is refused: a misspelt one must not select everything. Routes without parameters ignore them, as they always did.
func Parse(path string, params []Param, r *http.Request) (q Query, err error) {
	q = Query{Limit: defaultLimit, After: layout.First, Read: defaultRead, Columns: overview.DefaultColumns}
	if len(params) == 0 {
		return q, nil
	}
	values := r.URL.Query()
	for name, list := range values {
		i := slices.IndexFunc(params, func(p Param) bool { return p.Name == name })
		switch {
		case i < 0:
			return q, fmt.Errorf("there is no parameter %q; %s takes: %s", name, path, names(params))
		case len(list) > 1:
			return q, fmt.Errorf("%s is there twice", name)
		}
		if params[i].Set == nil {
			continue // its route reads it
		}
		if err := params[i].Set(&q, list[0]); err != nil {
			return q, fmt.Errorf("%s %w", name, err)
		}
	}
	for _, p := range params {
		if p.Required && values.Get(p.Name) == "" {
			return q, fmt.Errorf("%s is missing; %s takes: %s", p.Name, path, names(params))
		}
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		return q, errors.New("from is not before to")
	}
	return q, nil
}

func names(list []Param) string {
	var out []string
	for _, p := range list {
		out = append(out, p.Name)
	}
	return strings.Join(out, ", ")
}
