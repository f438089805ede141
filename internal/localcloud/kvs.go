package localcloud

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// The limits of the KVS API and of its quotas.
const (
	maxRetentionHours = 87_600
	maxListedStreams  = 10_000
	maxTags           = 50
)

var streamPattern = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,256}$`)

// The exceptions of the control plane that the data plane does not have.
const (
	resourceInUse     = "ResourceInUseException"
	noDataRetention   = "NoDataRetentionException"
	edgeConfigMissing = "StreamEdgeConfigurationNotFoundException"
	versionMismatch   = "VersionMismatchException"
	tagsExceeded      = "TagsPerResourceExceededLimitException"
)

func badArgument(format string, args ...any) *media.HTTPError {
	return kvsError(http.StatusBadRequest, media.InvalidArgument, format, args...)
}

func kvsError(status int, name, format string, args ...any) *media.HTTPError {
	return &media.HTTPError{Status: status, Name: name, Message: fmt.Sprintf(format, args...)}
}

var kvsService = service{
	name:        serviceKVS,
	contentType: "application/json",
	operation: func(r *http.Request, _ []byte) string {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			return ""
		}
		return strings.ToUpper(name[:1]) + name[1:]
	},
	call: func(c *Cloud, operation string, _ *http.Request, body []byte) ([]byte, error) {
		if do, ok := kvsOperations[operation]; ok {
			return do(c, body)
		}
		return nil, unknownOperation(operation)
	},
}

var kvsOperations = map[string]func(*Cloud, []byte) ([]byte, error){
	"CreateStream":                 jsonOperation((*Cloud).createStream),
	"DescribeStream":               jsonOperation((*Cloud).describeStream),
	"ListStreams":                  jsonOperation((*Cloud).listStreams),
	"DeleteStream":                 jsonOperation((*Cloud).deleteStream),
	"UpdateDataRetention":          jsonOperation((*Cloud).updateDataRetention),
	"GetDataEndpoint":              jsonOperation((*Cloud).getDataEndpoint),
	"TagStream":                    jsonOperation((*Cloud).tagStream),
	"ListTagsForStream":            jsonOperation((*Cloud).listTagsForStream),
	"StartEdgeConfigurationUpdate": jsonOperation((*Cloud).startEdgeConfigurationUpdate),
	"DescribeEdgeConfiguration":    jsonOperation((*Cloud).describeEdgeConfiguration),
	"DeleteEdgeConfiguration":      jsonOperation((*Cloud).deleteEdgeConfiguration),
	"ListEdgeAgentConfigurations":  jsonOperation((*Cloud).listEdgeAgentConfigurations),
}

// epoch is a time as KVS writes it: seconds since 1970, to the millisecond, a JSON number.
type epoch struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (e epoch) MarshalJSON() ([]byte, error) {
	ms := e.UnixMilli()
	return fmt.Appendf(nil, "%d.%03d", ms/1000, ms%1000), nil
}

// UnmarshalJSON implements json.Unmarshaler. 0 is no time.
func (e *epoch) UnmarshalJSON(data []byte) error {
	seconds, err := strconv.ParseFloat(string(data), 64)
	if err != nil || seconds < 0 || seconds > 1e11 {
		return fmt.Errorf("%.40s is not a time in seconds since 1970", data)
	}
	if e.Time = time.UnixMilli(int64(seconds*1000 + 0.5)).UTC(); seconds == 0 {
		e.Time = time.Time{}
	}
	return nil
}

// streamID names a stream in a request.
type streamID struct {
	StreamName, StreamARN string
}

// find gives the stream that is meant.
func (d *document) find(id streamID) (*streamRecord, error) {
	if id.StreamName == "" && id.StreamARN == "" {
		return nil, badArgument("Either StreamName or StreamARN is required")
	}
	for _, s := range d.Streams {
		if (id.StreamName == "" || s.Name == id.StreamName) && (id.StreamARN == "" || s.ARN == id.StreamARN) {
			return s, nil
		}
	}
	named := id.StreamName
	if named == "" {
		named = id.StreamARN
	}
	return nil, kvsError(http.StatusNotFound, media.ResourceNotFound, "The requested stream %s is not found or not active.", named)
}

// lookup shows the streams to the data plane.
type lookup struct{ cloud *Cloud }

// Stream implements media.StreamLookup.
func (l lookup) Stream(nameOrARN string) (media.StreamInfo, bool) {
	l.cloud.mu.Lock()
	defer l.cloud.mu.Unlock()
	for _, s := range l.cloud.doc.Streams {
		if s.Name == nameOrARN || s.ARN == nameOrARN {
			return media.StreamInfo{Name: s.Name, ARN: s.ARN, RetentionHours: s.RetentionHours, Status: "ACTIVE"}, true
		}
	}
	return media.StreamInfo{}, false
}

// CreateStream makes a stream. One that exists keeps its ARN and gets the retention.
func (c *Cloud) CreateStream(name string, retentionHours int) (arn string, err error) {
	err = c.update(func(d *document) error {
		s := d.Streams[name]
		if s != nil && 0 <= retentionHours && retentionHours <= maxRetentionHours {
			arn, s.RetentionHours = s.ARN, retentionHours
			return nil
		}
		s, err := c.newStream(createStreamInput{StreamName: name, DataRetentionInHours: retentionHours})
		if err == nil {
			d.Streams[name], arn = s, s.ARN
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("cannot create stream %s: %w", name, err)
	}
	return arn, nil
}

type createStreamInput struct {
	StreamName, DeviceName, KmsKeyId, MediaType string
	DataRetentionInHours                        int
	Tags                                        map[string]string
}

// newStream checks the input and makes the record.
func (c *Cloud) newStream(in createStreamInput) (*streamRecord, error) {
	switch {
	case !streamPattern.MatchString(in.StreamName):
		return nil, badArgument("StreamName must have 1 to 256 letters, digits, or _.-")
	case in.DataRetentionInHours < 0 || in.DataRetentionInHours > maxRetentionHours:
		return nil, badArgument("DataRetentionInHours must be 0 to %d", maxRetentionHours)
	case len(in.Tags) > maxTags:
		return nil, kvsError(http.StatusBadRequest, tagsExceeded, "a stream has at most %d tags", maxTags)
	}
	now := c.o.Now().UTC().Truncate(time.Millisecond)
	key := in.KmsKeyId
	if key == "" {
		key = fmt.Sprintf("arn:aws:kms:%s:%s:alias/aws/kinesisvideo", Region, Account)
	}
	return &streamRecord{
		Name: in.StreamName, ARN: fmt.Sprintf("arn:aws:kinesisvideo:%s:%s:stream/%s/%d", Region, Account, in.StreamName, now.UnixMilli()),
		Version: newVersion(), Created: now, RetentionHours: in.DataRetentionInHours,
		DeviceName: in.DeviceName, MediaType: in.MediaType, KmsKeyID: key, Tags: in.Tags,
	}, nil
}

func newVersion() string { return strings.ReplaceAll(requestID(), "-", "")[:20] }

func (c *Cloud) createStream(in createStreamInput) (any, error) {
	var arn string
	err := c.update(func(d *document) error {
		s, err := c.newStream(in)
		if err != nil {
			return err
		}
		if d.Streams[s.Name] != nil {
			return kvsError(http.StatusBadRequest, resourceInUse, "The stream %s already exists.", s.Name)
		}
		d.Streams[s.Name], arn = s, s.ARN
		return nil
	})
	return map[string]string{"StreamARN": arn}, err
}

// streamInfo is the API's StreamInfo.
type streamInfo struct {
	StreamName, StreamARN, Version, Status, KmsKeyId string
	DeviceName                                       string `json:",omitempty"`
	MediaType                                        string `json:",omitempty"`
	CreationTime                                     epoch
	DataRetentionInHours                             int
}

func (s *streamRecord) info() streamInfo {
	return streamInfo{
		StreamName: s.Name, StreamARN: s.ARN, Version: s.Version, Status: "ACTIVE", KmsKeyId: s.KmsKeyID,
		DeviceName: s.DeviceName, MediaType: s.MediaType, CreationTime: epoch{s.Created}, DataRetentionInHours: s.RetentionHours,
	}
}

func (c *Cloud) describeStream(in streamID) (any, error) {
	var info streamInfo
	err := c.view(func(d *document) error {
		s, err := d.find(in)
		if err == nil {
			info = s.info()
		}
		return err
	})
	return map[string]any{"StreamInfo": info}, err
}

type listStreamsInput struct {
	MaxResults          *int
	NextToken           string
	StreamNameCondition *struct{ ComparisonOperator, ComparisonValue string }
}

func (c *Cloud) listStreams(in listStreamsInput) (any, error) {
	prefix := ""
	if condition := in.StreamNameCondition; condition != nil {
		if condition.ComparisonOperator != "" && condition.ComparisonOperator != "BEGINS_WITH" {
			return nil, badArgument("ComparisonOperator must be BEGINS_WITH")
		}
		prefix = condition.ComparisonValue
	}
	limit, after, err := page(in.MaxResults, maxListedStreams, maxListedStreams, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := struct {
		StreamInfoList []streamInfo
		NextToken      string `json:",omitempty"`
	}{StreamInfoList: []streamInfo{}}
	err = c.view(func(d *document) error {
		for _, name := range slices.Sorted(maps.Keys(d.Streams)) {
			if name <= after || !strings.HasPrefix(name, prefix) {
				continue
			}
			if len(out.StreamInfoList) == limit {
				out.NextToken = tokenAfter(out.StreamInfoList[limit-1].StreamName)
				break
			}
			out.StreamInfoList = append(out.StreamInfoList, d.Streams[name].info())
		}
		return nil
	})
	return out, err
}

// page reads what a request says of the page it wants: how many entries at most, and the name
// after which they begin.
func page(maxResults *int, usual, most int, token string) (limit int, after string, err error) {
	limit = usual
	if maxResults != nil {
		if limit = *maxResults; limit < 1 || limit > most {
			return 0, "", badArgument("MaxResults must be 1 to %d", most)
		}
	}
	name, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || token != "" && !streamPattern.Match(name) {
		return 0, "", badArgument("NextToken is not one that an earlier answer gave")
	}
	return limit, string(name), nil
}

func tokenAfter(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

type deleteStreamInput struct{ StreamARN, CurrentVersion string }

func (c *Cloud) deleteStream(in deleteStreamInput) (any, error) {
	thing := ""
	err := c.update(func(d *document) error {
		s, err := d.find(streamID{StreamARN: in.StreamARN})
		if err != nil {
			return err
		}
		if in.CurrentVersion != "" && in.CurrentVersion != s.Version {
			return mismatch(s)
		}
		if s.Edge != nil {
			thing = s.Edge.Thing
		}
		delete(d.Streams, s.Name)
		return nil
	})
	if err == nil && thing != "" {
		c.broker.publish(thing, topicRefresh, []byte("{}")) // the configuration went with the stream
	}
	return nil, err
}

func mismatch(s *streamRecord) error {
	return kvsError(http.StatusBadRequest, versionMismatch, "The version of stream %s is %s.", s.Name, s.Version)
}

type updateDataRetentionInput struct {
	streamID
	CurrentVersion, Operation  string
	DataRetentionChangeInHours int
}

func (c *Cloud) updateDataRetention(in updateDataRetentionInput) (any, error) {
	return nil, c.update(func(d *document) error {
		s, err := d.find(in.streamID)
		if err != nil {
			return err
		}
		hours := s.RetentionHours
		switch in.Operation {
		case "INCREASE_DATA_RETENTION":
			hours += in.DataRetentionChangeInHours
		case "DECREASE_DATA_RETENTION":
			hours -= in.DataRetentionChangeInHours
		default:
			return badArgument("Operation must be INCREASE_DATA_RETENTION or DECREASE_DATA_RETENTION")
		}
		switch {
		case in.CurrentVersion != s.Version:
			return mismatch(s)
		case in.DataRetentionChangeInHours < 0 || hours < 0 || hours > maxRetentionHours:
			return badArgument("DataRetentionChangeInHours must not be negative and lead to 0 to %d hours, not %d", maxRetentionHours, hours)
		}
		s.RetentionHours, s.Version = hours, newVersion()
		return nil
	})
}

// dataAPIs are the values of APIName.
var dataAPIs = []string{
	"PUT_MEDIA", "GET_MEDIA", "LIST_FRAGMENTS", "GET_MEDIA_FOR_FRAGMENT_LIST", "GET_HLS_STREAMING_SESSION_URL",
	"GET_DASH_STREAMING_SESSION_URL", "GET_CLIP", "GET_IMAGES",
}

type getDataEndpointInput struct {
	streamID
	APIName string
}

func (c *Cloud) getDataEndpoint(in getDataEndpointInput) (any, error) {
	if !slices.Contains(dataAPIs, in.APIName) {
		return nil, badArgument("APIName must be one of %s", strings.Join(dataAPIs, ", "))
	}
	err := c.view(func(d *document) error { _, err := d.find(in.streamID); return err })
	return map[string]string{"DataEndpoint": c.Endpoint()}, err
}

type tagStreamInput struct {
	streamID
	Tags map[string]string
}

func (c *Cloud) tagStream(in tagStreamInput) (any, error) {
	return nil, c.update(func(d *document) error {
		s, err := d.find(in.streamID)
		if err != nil {
			return err
		}
		tags := maps.Clone(s.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		maps.Copy(tags, in.Tags)
		switch {
		case len(in.Tags) == 0:
			return badArgument("Tags must have at least one tag")
		case len(tags) > maxTags:
			return kvsError(http.StatusBadRequest, tagsExceeded, "a stream has at most %d tags", maxTags)
		}
		s.Tags = tags
		return nil
	})
}

func (c *Cloud) listTagsForStream(in streamID) (any, error) {
	tags := map[string]string{}
	err := c.view(func(d *document) error {
		s, err := d.find(in)
		if err == nil {
			maps.Copy(tags, s.Tags)
		}
		return err
	})
	return map[string]any{"Tags": tags}, err
}
