package sitewise

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
)

// The limits of GetInterpolatedAssetPropertyValues. Source: its API reference.
const (
	lastCarriedForward = "LOCF_INTERPOLATION"
	linear             = "LINEAR_INTERPOLATION"
	usualInterpolated  = 10
)

type interpolatedInput struct {
	target
	page
	Start      int64  `json:"startTimeInSeconds"`
	StartNanos int32  `json:"startTimeOffsetInNanos"`
	End        int64  `json:"endTimeInSeconds"`
	EndNanos   int32  `json:"endTimeOffsetInNanos"`
	Quality    string `json:"quality"`
	Interval   int64  `json:"intervalInSeconds"`
	Type       string `json:"type"`
	Window     int64  `json:"intervalWindowInSeconds"`
}

func (in interpolatedInput) check() error {
	start, end := instant{in.Start, in.StartNanos}, instant{in.End, in.EndNanos}
	switch {
	case in.Type == linear:
		return refused(sitewisemodel.InvalidRequest, "type", "localcloud has no %s, only %s.", linear, lastCarriedForward)
	case in.Type != lastCarriedForward:
		return refused(sitewisemodel.InvalidRequest, "type", "The type must be %s or %s.", linear, lastCarriedForward)
	case in.Window != 0:
		return refused(sitewisemodel.InvalidRequest, "intervalWindowInSeconds", "An intervalWindowInSeconds needs the type %s.", linear)
	case end.compare(start) <= 0:
		return refused(sitewisemodel.InvalidRequest, "endTimeInSeconds", "The end time must be after the start time.")
	}
	return nil
}

// getInterpolated has for the end of each interval the value that was the last one then, however old. An interval that no
// value precedes has none.
func (r request) getInterpolated(in interpolatedInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	step := int64(0)
	if err := readToken(in.NextToken, &step); err != nil {
		return nil, err
	}
	k, _, _, err := r.find(in.target, "GetInterpolatedAssetPropertyValues", false)
	if err != nil {
		return nil, err
	}
	limit, end := in.MaxResults, instant{in.End, in.EndNanos}
	if limit == 0 {
		limit = usualInterpolated
	}
	values := r.values.list(k, func(v tqv) bool { return v.Quality == in.Quality && v.Value.Null == nil })
	if len(values) > 0 { // there are none for the intervals before the first value
		step = max(step, (values[0].Time.Seconds-in.Start)/in.Interval-1)
	} else {
		end = instant{}
	}
	list, next := []map[string]any{}, ""
	for i, at := 0, (instant{in.Start + (step+1)*in.Interval, in.StartNanos}); at.compare(end) <= 0; at.Seconds += in.Interval {
		for i < len(values) && values[i].Time.compare(at) <= 0 {
			i++
		}
		if len(list) == limit {
			next = token(step)
			break
		}
		if step++; i > 0 {
			list = append(list, map[string]any{"timestamp": at, "value": values[i-1].Value})
		}
	}
	return listed("interpolatedAssetPropertyValues", list, next), nil
}
