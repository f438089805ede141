package sitewise

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
)

// The limits of BatchPutAssetPropertyValue. Source: API reference, BatchPutAssetPropertyValue, PutAssetPropertyValueEntry and Variant.
const (
	maxPutEntries   = 10
	maxEntryValues  = 10
	maxValueAge     = 7 * 24 * time.Hour
	maxValueAhead   = 10 * time.Minute
	maxStringValue  = 1024 // characters
	maxDoubleValue  = 1e10 // to either side
	timestampOutOf  = "TimestampOutOfRangeException"
	qualityRequired = "BAD or UNCERTAIN"
)

// stringValue is the pattern of strings. Source: API reference, Variant.
var stringValue = regexp.MustCompile(`\A[^\x00-\x1F\x7F]*\z`)

// target names a property, by alias or by ids.
type target struct {
	Asset    string `json:"assetId"`
	Property string `json:"propertyId"`
	Alias    string `json:"propertyAlias"`
}

// resource is how a denial or a call names it.
func (t target) resource() string { return cmp.Or(t.Asset, t.Alias) }

type putInput struct {
	Partial bool       `json:"enablePartialEntryProcessing"`
	Entries []putEntry `json:"entries"`
}

type putEntry struct {
	target
	ID     string `json:"entryId"`
	Values []tqv  `json:"propertyValues"`
}

// entryError is one error of an entry, with the times of the values that it is about.
type entryError struct {
	Code    string    `json:"errorCode"`
	Message string    `json:"errorMessage"`
	Times   []instant `json:"timestamps"`
}

type entryErrors struct {
	ID     string        `json:"entryId"`
	Errors []*entryError `json:"errors"`
}

// batchPut puts values, each entry by itself: what is wrong with one is in the answer.
func (r request) batchPut(in putInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	refusedEntries := []entryErrors{}
	taken := map[key]map[string]variant{} // what earlier entries of the request put, by time and quality
	for _, e := range in.Entries {
		failed, err := r.putOne(e, in.Partial, taken)
		if err != nil {
			return nil, err
		}
		if len(failed) > 0 {
			refusedEntries = append(refusedEntries, entryErrors{e.ID, failed})
		}
	}
	return map[string]any{"errorEntries": refusedEntries}, nil
}

func (in putInput) check() error {
	if n := len(in.Entries); n == 0 || n > maxPutEntries {
		return refused(sitewisemodel.InvalidRequest, "entries", "A request has 1 to %d entries, and this one has %d.", maxPutEntries, n)
	}
	ids := map[string]bool{}
	for _, e := range in.Entries {
		if ids[e.ID] {
			return refused(sitewisemodel.InvalidRequest, "entries.entryId", "The entryId %s is not the only one in the request.", e.ID)
		}
		ids[e.ID] = true
		if n := len(e.Values); n == 0 || n > maxEntryValues {
			return refused(sitewisemodel.InvalidRequest, "entries.propertyValues", "Entry %s has %d values, and an entry has 1 to %d.",
				e.ID, n, maxEntryValues)
		}
	}
	return nil
}

// putOne puts the values of an entry, without those that are refused; unless partial, none of them then.
func (r request) putOne(e putEntry, partial bool, taken map[key]map[string]variant) (failed []*entryError, err error) {
	k, p, topic, err := r.find(e.target, "BatchPutAssetPropertyValue", true)
	if err != nil {
		var answered *awsapi.Error
		if !errors.As(err, &answered) {
			return nil, err
		}
		for _, v := range e.Values {
			failed = addError(failed, answered.Name, answered.Message, v.Time)
		}
		return failed, nil
	}
	if taken[k] == nil {
		taken[k] = map[string]variant{}
	}
	var good []tqv
	for _, v := range e.Values {
		v.Quality = cmp.Or(v.Quality, qualityGood)
		code, message := r.fault(p, v)
		if had, again := taken[k][v.place()]; code == "" && again && !had.same(v.Value) {
			code, message = sitewisemodel.Conflict, "The request has another value of the same time and quality."
		}
		if code != "" {
			failed = addError(failed, code, message, v.Time)
			continue
		}
		taken[k][v.place()] = v.Value
		good = append(good, v)
	}
	if len(good) == 0 || len(failed) > 0 && !partial {
		return failed, nil
	}
	if err := r.values.put(k, good); err != nil {
		return nil, err
	}
	if topic != "" {
		r.notify(topic, k, good)
	}
	return failed, nil
}

// place is what another value must share to replace this one.
func (v tqv) place() string { return v.Time.seconds() + " " + v.Quality }

// addError adds the time of a value to the error that it has.
func addError(list []*entryError, code, message string, at instant) []*entryError {
	for _, e := range list {
		if e.Code == code && e.Message == message {
			e.Times = append(e.Times, at)
			return list
		}
	}
	return append(list, &entryError{code, message, []instant{at}})
}

// find finds a property. For a put its asset must be ACTIVE; topic is where a change is notified, "" = nowhere.
func (r request) find(t target, operation string, put bool) (k key, p *property, topic string, err error) {
	byIDs := t.Asset != "" && t.Property != "" && t.Alias == ""
	byAlias := t.Asset == "" && t.Property == "" && t.Alias != ""
	if !byIDs && !byAlias {
		return key{}, nil, "", refused(sitewisemodel.InvalidRequest, "propertyAlias",
			"Either assetId and propertyId or propertyAlias must be given.")
	}
	if err := r.o.Authorize(r.thing, operation, t.resource()); err != nil {
		return key{}, nil, "", err
	}
	err = r.view(func(d State) error {
		var a *asset
		if byAlias {
			if a, p = d.byAlias(t.Alias); a == nil {
				return refused(sitewisemodel.ResourceNotFound, "propertyAlias", "Property alias %s not found.", t.Alias)
			}
		} else if a, err = d.asset(t.Asset, "assetId"); err != nil {
			return err
		} else if p, _, err = d.property(a, t.Property); err != nil {
			return err
		}
		if s := a.Settings[p.ID]; s != nil && s.Notifies {
			topic = a.topic(p)
		}
		k = key{a.ID, p.ID}
		if put {
			return a.settled(r.now, "assetId")
		}
		return nil
	})
	return k, p, topic, err
}

// fault reports what is wrong with a value; "" = nothing.
func (r request) fault(p *property, v tqv) (code, message string) {
	at := v.Time.time()
	switch {
	case at.Before(r.now.Add(-maxValueAge)):
		return timestampOutOf, "The timestamp is more than 7 days in the past."
	case at.After(r.now.Add(maxValueAhead)):
		return timestampOutOf, "The timestamp is more than 10 minutes in the future."
	case v.Value.members() != 1:
		return sitewisemodel.InvalidRequest, "A value must have exactly one member."
	}
	if message := v.typeFault(p.DataType); message != "" {
		return sitewisemodel.InvalidRequest, message
	}
	return "", ""
}

// typeFault says what is wrong with a value of a property of that type; "" = nothing.
func (v tqv) typeFault(dataType string) string {
	value := v.Value
	if value.Null != nil {
		short := value.Null.Type
		switch {
		case v.Quality == qualityGood:
			return "A null value must have the quality " + qualityRequired + "."
		case short != "U" && short != dataType[:1]:
			return fmt.Sprintf("A null value of type %s is not one of type %s.", short, dataType)
		}
		return ""
	}
	given := map[string]bool{"STRING": value.String != nil, "INTEGER": value.Integer != nil, "DOUBLE": value.Double != nil,
		"BOOLEAN": value.Boolean != nil}
	switch {
	case !given[dataType]:
		return "The value is not of type " + dataType + "."
	case value.String != nil && (utf8.RuneCountInString(*value.String) > maxStringValue || !stringValue.MatchString(*value.String)):
		return fmt.Sprintf("A string has at most %d characters, none of which is a control character.", maxStringValue)
	case value.Double != nil && math.Abs(*value.Double) > maxDoubleValue:
		return "A double is between -10^10 and 10^10."
	}
	return ""
}
