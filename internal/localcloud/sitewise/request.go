package sitewise

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
)

// addLocated adds the members of a path and a query to those of a body, where they do not count.
func addLocated(all map[string]any, o *sitewisemodel.Operation, path map[string]string, r *http.Request) error {
	query := r.URL.Query()
	for _, m := range o.Members {
		switch escaped, inPath := path[m.Name]; {
		case inPath:
			text, err := url.PathUnescape(escaped)
			if err != nil {
				return &apimodel.Malformed{Path: m.Name, Text: "is not escaped as a part of a path"}
			}
			all[m.Name] = text
		case slices.Contains(o.Query, m.Name):
			delete(all, m.Name)
			if given := query[m.Name]; len(given) > 0 {
				value, err := queryValue(m, given)
				if err != nil {
					return err
				}
				all[m.Name] = value
			}
		}
	}
	return nil
}

// queryValue turns what a query has for a member into JSON.
func queryValue(m apimodel.Member, given []string) (any, error) {
	switch m.Shape.Kind {
	case apimodel.List:
		list := make([]any, len(given))
		for i, text := range given {
			list[i] = text
		}
		return list, nil
	case apimodel.Integer, apimodel.Long, apimodel.Double:
		return json.Number(given[0]), nil
	case apimodel.Boolean:
		if given[0] == "true" || given[0] == "false" {
			return given[0] == "true", nil
		}
		return given[0], nil // which is not a boolean, as Check says
	case apimodel.Time:
		at, err := time.Parse(time.RFC3339, given[0])
		if err != nil {
			return nil, &apimodel.Malformed{Path: m.Name, Text: "must be a time in the form of RFC 3339"}
		}
		return json.Number(instantOf(at).seconds()), nil
	default:
		return given[0], nil
	}
}

// instant is a point in time as SiteWise has it: whole seconds since 1970 and nanoseconds.
type instant struct {
	Seconds int64 `json:"timeInSeconds"`
	Nanos   int32 `json:"offsetInNanos"`
}

func instantOf(t time.Time) instant { return instant{t.Unix(), int32(t.Nanosecond())} }

// seconds renders it as a decimal number.
func (i instant) seconds() string { return fmt.Sprintf("%d.%09d", i.Seconds, i.Nanos) }

func (i instant) time() time.Time { return time.Unix(i.Seconds, int64(i.Nanos)).UTC() }

func (i instant) compare(other instant) int {
	switch {
	case i.Seconds != other.Seconds:
		return sign(i.Seconds - other.Seconds)
	default:
		return sign(int64(i.Nanos) - int64(other.Nanos))
	}
}

func sign(n int64) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// date is a time in the JSON of a request: a number of seconds, which may have a fraction.
type date struct{ instant }

// UnmarshalJSON implements json.Unmarshaler.
func (d *date) UnmarshalJSON(data []byte) error {
	var seconds, nanos int64
	if n, err := fmt.Sscanf(string(data), "%d.%9d", &seconds, &nanos); err == nil && n == 2 {
		for digits := len(data) - slices.Index(data, '.') - 1; digits < 9; digits++ {
			nanos *= 10
		}
		d.instant = instant{seconds, int32(nanos)}
		return nil
	}
	var whole float64
	if err := json.Unmarshal(data, &whole); err != nil {
		return err
	}
	d.instant = instantOf(time.UnixMilli(int64(whole * 1000)))
	return nil
}

// page is what lists are asked with.
type page struct {
	NextToken  string `json:"nextToken"`
	MaxResults int    `json:"maxResults"`
}

// usualPage is the number of results in a page where a request names none. Source: API reference, maxResults.
const usualPage = 50

// token renders the position after which a page starts. Tokens of SiteWise are in the alphabet of Base64.
func token(position any) string {
	text, _ := json.Marshal(position) // positions are strings and numbers
	return base64.StdEncoding.EncodeToString(text)
}

// readToken reads what token rendered into position, which an empty token leaves as it is.
func readToken(text string, position any) error {
	if text == "" {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(data, position)
	}
	if err != nil {
		return refused(sitewisemodel.InvalidRequest, "nextToken", "The nextToken is not one that an earlier answer had.")
	}
	return nil
}

// cut returns the part of a sorted list that a page has, and the token of the next one.
func cut[T any](list []T, p page, id func(T) string) (part []T, next string, err error) {
	after := ""
	if err := readToken(p.NextToken, &after); err != nil {
		return nil, "", err
	}
	if after != "" {
		list = slices.DeleteFunc(slices.Clone(list), func(element T) bool { return id(element) <= after })
	}
	limit := p.MaxResults
	if limit == 0 {
		limit = usualPage
	}
	if len(list) > limit {
		return list[:limit], token(id(list[limit-1])), nil
	}
	return list, "", nil
}
