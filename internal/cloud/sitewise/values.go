package sitewise

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
)

// What one call may hold. Source: AWS IoT SiteWise User Guide, quotas.
const (
	MaxReads  = 128
	MaxWrites = 10
)

// Ref names a property of an asset. It is comparable.
type Ref struct{ Asset, Property string }

// Value is a value of a property at a time. It is comparable.
type Value struct {
	Time time.Time // UTC; zero where there is no value yet
	// One of these is set, as the property's type says.
	Kind    Kind
	Text    string
	Integer int64
	Double  float64
	Boolean bool
}

// Kind is the type of a value.
type Kind uint8

// The kinds.
const (
	None Kind = iota // there is no value, or one of a kind that is not known here
	Text
	Integer
	Double
	Boolean
)

// valueOf reads a value of the SDK; nil has no time.
func valueOf(in *types.AssetPropertyValue) (v Value) {
	if in == nil || in.Timestamp == nil || in.Value == nil {
		return Value{}
	}
	v.Time = time.Unix(aws.ToInt64(in.Timestamp.TimeInSeconds), int64(aws.ToInt32(in.Timestamp.OffsetInNanos))).UTC()
	switch x := in.Value; {
	case x.StringValue != nil:
		v.Kind, v.Text = Text, *x.StringValue
	case x.IntegerValue != nil:
		v.Kind, v.Integer = Integer, int64(*x.IntegerValue)
	case x.DoubleValue != nil:
		v.Kind, v.Double = Double, *x.DoubleValue
	case x.BooleanValue != nil:
		v.Kind, v.Boolean = Boolean, *x.BooleanValue
	}
	return v
}

// Values reads the newest value of each property. A property that has none yet has the zero Value. Where the hub may not read
// several at once, it reads one after the other. An error says that not all are known.
func (c *Client) Values(ctx context.Context, refs []Ref) (map[Ref]Value, error) {
	values := make(map[Ref]Value, len(refs))
	for start := 0; start < len(refs); start += MaxReads {
		part := refs[start:min(start+MaxReads, len(refs))]
		err := c.batch(ctx, part, values)
		if IsDenied(err) {
			err = c.single(ctx, part, values)
		}
		if err != nil {
			return nil, err
		}
	}
	return values, nil
}

// batch reads several values with as few calls as the service allows.
func (c *Client) batch(ctx context.Context, refs []Ref, values map[Ref]Value) error {
	const operation = "BatchGetAssetPropertyValue"
	ctx, cancel := context.WithTimeout(ctx, 2*callTimeout)
	defer cancel()
	in := &iotsitewise.BatchGetAssetPropertyValueInput{}
	for i := range refs {
		in.Entries = append(in.Entries, types.BatchGetAssetPropertyValueEntry{
			EntryId: aws.String(strconv.Itoa(i)), AssetId: &refs[i].Asset, PropertyId: &refs[i].Property})
	}
	read := make(map[int]bool, len(refs))
	for range maxPages {
		out, err := c.data.BatchGetAssetPropertyValue(ctx, in)
		if err != nil {
			return c.failed(operation, "", err)
		}
		for _, e := range out.ErrorEntries {
			return entryError(operation, refs, e.EntryId, string(e.ErrorCode), e.ErrorMessage)
		}
		for _, e := range out.SuccessEntries {
			if i := entryOf(e.EntryId, len(refs)); i >= 0 {
				values[refs[i]], read[i] = valueOf(e.AssetPropertyValue), true
			}
		}
		if aws.ToString(out.NextToken) == "" {
			if len(read) < len(refs) { // some were skipped: they are asked for one by one
				return c.single(ctx, unread(refs, read), values)
			}
			return nil
		}
		in.NextToken = out.NextToken
	}
	return c.failed(operation, "", errPages)
}

// entryOf is the index that an entry's id says; -1 for one that was never asked for.
func entryOf(id *string, most int) int {
	i, err := strconv.Atoi(aws.ToString(id))
	if err != nil || i < 0 || i >= most {
		return -1
	}
	return i
}

func unread(refs []Ref, read map[int]bool) (rest []Ref) {
	for i, ref := range refs {
		if !read[i] {
			rest = append(rest, ref)
		}
	}
	return rest
}

// entryError is the error of one entry of a batch.
func entryError(operation string, refs []Ref, id *string, code string, message *string) error {
	e := &Error{Operation: operation, Err: errors.New(awserr.Clip(code + ": " + aws.ToString(message)))}
	if i := entryOf(id, len(refs)); i >= 0 {
		e.Asset = refs[i].Asset
	}
	e.Meaning = awserr.Classify(statusOf(code), code, aws.ToString(message))
	return e
}

// statusOf is the status that an error has outside of a batch. Source: SiteWise API, the errors of BatchGetAssetPropertyValue
// and BatchPutAssetPropertyValue.
func statusOf(code string) int {
	switch code {
	case "AccessDeniedException":
		return 403
	case "ResourceNotFoundException":
		return 404
	case "ConflictingOperationException":
		return 409
	case "LimitExceededException":
		return 410
	case "ThrottlingException":
		return 429
	case "InternalFailureException":
		return 500
	case "ServiceUnavailableException":
		return 503
	default:
		return 400
	}
}

// single reads values one after the other.
func (c *Client) single(ctx context.Context, refs []Ref, values map[Ref]Value) error {
	for i := range refs {
		value, err := c.value(ctx, refs[i])
		if err != nil {
			return err
		}
		values[refs[i]] = value
	}
	return nil
}

func (c *Client) value(ctx context.Context, ref Ref) (Value, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := c.data.GetAssetPropertyValue(ctx, &iotsitewise.GetAssetPropertyValueInput{AssetId: &ref.Asset, PropertyId: &ref.Property})
	if err != nil {
		return Value{}, c.failed("GetAssetPropertyValue", ref.Asset, err)
	}
	return valueOf(out.PropertyValue), nil
}

// History lists the values that a property had after from until to, the oldest first, at most as many as most.
func (c *Client) History(ctx context.Context, ref Ref, from, to time.Time, most int) (list []Value, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*callTimeout)
	defer cancel()
	in := &iotsitewise.GetAssetPropertyValueHistoryInput{AssetId: &ref.Asset, PropertyId: &ref.Property, StartDate: &from, EndDate: &to,
		TimeOrdering: types.TimeOrderingAscending, MaxResults: aws.Int32(min(int32(most), c.page))}
	for range maxPages {
		out, err := c.data.GetAssetPropertyValueHistory(ctx, in)
		if err != nil {
			return nil, c.failed("GetAssetPropertyValueHistory", ref.Asset, err)
		}
		for i := range out.AssetPropertyValueHistory {
			list = append(list, valueOf(&out.AssetPropertyValueHistory[i]))
		}
		if aws.ToString(out.NextToken) == "" || len(list) >= most {
			return list[:min(most, len(list))], nil
		}
		in.NextToken = out.NextToken
	}
	return nil, c.failed("GetAssetPropertyValueHistory", ref.Asset, errPages)
}

// Entry is a value to be written.
type Entry struct {
	Ref
	Time  time.Time // what a point has that is in whole seconds overwrites another with the same time
	Value float64
}

// Refusal is why an entry was not written.
type Refusal struct {
	Entry   int    // its index
	Code    string // as TimestampOutOfRangeException
	Message string
	// Again says that the same entry may be taken later.
	Again bool
}

// Put writes at most MaxWrites values with good quality, each of which is taken or refused by itself. The error is that of the
// whole call, of which nothing was written.
func (c *Client) Put(ctx context.Context, entries []Entry) ([]Refusal, error) {
	const operation = "BatchPutAssetPropertyValue"
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	in := &iotsitewise.BatchPutAssetPropertyValueInput{}
	for i := range entries {
		e := &entries[i]
		in.Entries = append(in.Entries, types.PutAssetPropertyValueEntry{
			EntryId: aws.String(strconv.Itoa(i)), AssetId: &e.Asset, PropertyId: &e.Property,
			PropertyValues: []types.AssetPropertyValue{{
				Quality: types.QualityGood, Value: &types.Variant{DoubleValue: &e.Value},
				Timestamp: &types.TimeInNanos{TimeInSeconds: aws.Int64(e.Time.Unix()), OffsetInNanos: aws.Int32(int32(e.Time.Nanosecond()))},
			}},
		})
	}
	out, err := c.data.BatchPutAssetPropertyValue(ctx, in)
	if err != nil {
		return nil, c.failed(operation, "", err)
	}
	var refused []Refusal
	for _, e := range out.ErrorEntries {
		i := entryOf(e.EntryId, len(entries))
		if i < 0 || len(e.Errors) == 0 {
			continue
		}
		code, message := string(e.Errors[0].ErrorCode), aws.ToString(e.Errors[0].ErrorMessage)
		meaning := awserr.Classify(statusOf(code), code, message)
		refused = append(refused, Refusal{
			Entry: i, Code: awserr.Clip(code), Message: meaning.Message,
			Again: meaning.Kind == awserr.Throttled || meaning.Kind == awserr.Failing || meaning.RightMissing() ||
				code == string(types.BatchPutAssetPropertyValueErrorCodeConflictingOperationException),
		})
	}
	return refused, nil
}
