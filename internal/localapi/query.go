package localapi

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

	set func(q *query, value string) error
}

// query is what the parameters of a request say.
type query struct {
	stream   string
	from, to time.Time // [from, to); a zero time is unbounded
	limit    int       // of segments, or of fragments
	after    layout.ID // list from this segment on, which was listed already; layout.First: from the beginning
	resumes  bool      // after is set
	skip     int       // of the segment after: so many fragments were listed already
	read     int       // segments that may be read for the gaps within them
	segment  layout.ID
	hold     string // an ID
	format   export.Format
	columns  int
}

const (
	// defaultLimit and maxLimit bound a page of a list.
	defaultLimit = 1000
	maxLimit     = 10_000
	// defaultRead is how many segments of earlier versions are read for the gaps within them without being asked.
	defaultRead = 50
)

// The parameters.
var (
	paramStream = Param{"stream", "The name of a stream that has recordings or is configured.", true,
		func(q *query, value string) error { q.stream = value; return nil }}
	paramAnyStream = Param{"stream", "The name of a stream. Default: all.", false, paramStream.set}
	paramFrom      = Param{"from", "The earliest time, inclusive: RFC 3339, or milliseconds since 1970. Default: the first recording.", false,
		func(q *query, value string) (err error) { q.from, err = param.Time(value); return err }}
	paramTo = Param{"to", "The latest time, exclusive: as `from`. Default: now.", false,
		func(q *query, value string) (err error) { q.to, err = param.Time(value); return err }}
	paramLimit = Param{"limit", fmt.Sprintf("The length of a page, 1 to %d. Default: %d.", maxLimit, defaultLimit), false,
		func(q *query, value string) (err error) { q.limit, err = param.Number(value, 1, maxLimit); return err }}
	paramAfter = Param{"after", "The `next` of the page before. Default: the first page.", false,
		func(q *query, value string) error {
			id, skip, _ := strings.Cut(value, "/")
			var err error
			q.after, q.resumes = layout.ParseID(id)
			if skip != "" {
				q.skip, err = strconv.Atoi(skip)
			}
			if !q.resumes || err != nil || q.skip < 0 {
				return fmt.Errorf("must be the `next` of a page of the same list")
			}
			return nil
		}}
	paramRead = Param{"read", fmt.Sprintf("How many segments of earlier versions, which did not note gaps, are read for those within "+
		"them: 0 to %d. Default: %d.", maxLimit, defaultRead), false,
		func(q *query, value string) (err error) { q.read, err = param.Number(value, 0, maxLimit); return err }}
	paramFormat = Param{"format", "The container: `mkv` or `mp4`. Default: `mkv`.", false,
		func(q *query, value string) error {
			var known bool
			if q.format, known = formats[value]; known {
				return nil
			}
			return errors.New("must be mkv or mp4")
		}}
	paramColumns = Param{"columns", fmt.Sprintf("How many columns, 1 to %d. Default: %d.", overview.MaxColumns, overview.DefaultColumns),
		false,
		func(q *query, value string) (err error) {
			q.columns, err = param.Number(value, 1, overview.MaxColumns)
			return err
		}}
	paramHold = Param{"hold", "The `id` of a hold.", true,
		func(q *query, value string) error { q.hold = value; return nil }}
	paramSegment = Param{"segment", "The `segment` of a list of segments.", true,
		func(q *query, value string) error {
			id, ok := layout.ParseID(value)
			if !ok {
				return fmt.Errorf("must be the `segment` of a list of segments")
			}
			q.segment = id
			return nil
		}}
)

// parseQuery reads the parameters of a request. A parameter that the route does not have is refused: a misspelt one
// must not select everything. Routes without parameters ignore them, as they always did.
func parseQuery(route Route, r *http.Request) (q query, err error) {
	q = query{limit: defaultLimit, after: layout.First, read: defaultRead, columns: overview.DefaultColumns}
	if len(route.Params) == 0 {
		return q, nil
	}
	values := r.URL.Query()
	for name, list := range values {
		i := slices.IndexFunc(route.Params, func(p Param) bool { return p.Name == name })
		switch {
		case i < 0:
			return q, badQuery("there is no parameter %q; %s takes: %s", name, route.Path, paramNames(route.Params))
		case len(list) > 1:
			return q, badQuery("%s is there twice", name)
		}
		if route.Params[i].set == nil {
			continue // its route reads it
		}
		if err := route.Params[i].set(&q, list[0]); err != nil {
			return q, badQuery("%s %v", name, err)
		}
	}
	for _, p := range route.Params {
		if p.Required && values.Get(p.Name) == "" {
			return q, badQuery("%s is missing; %s takes: %s", p.Name, route.Path, paramNames(route.Params))
		}
	}
	if !q.from.IsZero() && !q.to.IsZero() && !q.from.Before(q.to) {
		return q, badQuery("from is not before to")
	}
	return q, nil
}

func paramNames(list []Param) string {
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

func badQuery(format string, args ...any) error {
	return &Error{http.StatusBadRequest, codeParameter, fmt.Sprintf(format, args...)}
}
