// Package kvs plays the control plane of Kinesis Video Streams: streams, their tags and configurations, and the edge
// configurations that go to the hubs and come back from them as statuses.
package kvs

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/state"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// streamPattern is that of the names in tokens.
var streamPattern = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,256}$`)

// Options of a ControlPlane.
type Options struct {
	Home  account.Home
	State state.Part[Streams]
	Now   func() time.Time
	Log   *zap.Logger
	Hubs  Hubs
	// Endpoint is the URL of the data plane.
	Endpoint func() string
	// StreamDelay is how long streams are CREATING, UPDATING and DELETING; 0 = 300 ms, negative = not at all.
	StreamDelay time.Duration
	// AsAWS does nothing that AWS does not document: neither are configurations sent nor answers heard.
	AsAWS bool
}

// ControlPlane is the service.
type ControlPlane struct {
	o     Options
	awake signal.Signal // Run is to look now
}

// New returns the service; Run has to run for configurations to get to the hubs.
func New(o Options) *ControlPlane { return &ControlPlane{o: o, awake: signal.New()} }

// update changes the streams; when change fails nothing may have been changed.
func (c *ControlPlane) update(change func(Streams) error) error {
	return c.o.State.Update(func(d Streams) error {
		d.settle(c.o.Now())
		return change(d)
	})
}

// view reads the streams.
func (c *ControlPlane) view(read func(Streams) error) error {
	return c.o.State.View(func(d Streams) error {
		d.settle(c.o.Now())
		return read(d)
	})
}

// API returns the service as the HTTPS endpoint has it.
func (c *ControlPlane) API() awsapi.Service {
	return awsapi.Service{
		Name:      awsapi.KVS,
		Operation: func(r *http.Request, _ []byte) string { return OperationOf(r) },
		Resource:  func(_ *http.Request, body []byte) string { return ResourceOf(body) },
		Call: func(_ string, r *http.Request, body []byte) ([]byte, error) {
			return c.call(r.URL.Path, body)
		},
	}
}

// OperationOf names the operation of a request, also of the data plane, as actions are named.
func OperationOf(r *http.Request) string {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// ResourceOf is the stream or hub that the body of a request names.
func ResourceOf(body []byte) string {
	var in struct{ StreamARN, StreamName, ResourceARN, HubDeviceArn string }
	_ = json.Unmarshal(body, &in) // the operation reports what is wrong with it
	return cmp.Or(in.StreamARN, in.StreamName, in.ResourceARN, in.HubDeviceArn)
}

// Operations lists the operations that are here.
func Operations() []string { return slices.Sorted(maps.Keys(operations)) }

// call checks a request against the model of the service and does what it asks for.
func (c *ControlPlane) call(path string, body []byte) ([]byte, error) {
	name := kvsmodel.ByPath(path)
	operation, do := kvsmodel.ByName(name), operations[name]
	switch {
	case operation != nil && do != nil:
	case slices.Contains(kvsmodel.NotHere, name):
		return nil, awsapi.Errorf(http.StatusNotImplemented, "UnsupportedOperationException", "the path", "localcloud does not have %s", name)
	default:
		return nil, awsapi.UnknownOperation(strings.TrimPrefix(path, "/"))
	}
	known, _, err := operation.Read(body)
	if err != nil {
		return nil, operation.Refusal(err)
	}
	answer, err := do(c, known)
	return answer, onlyDeclared(operation, err)
}

// onlyDeclared makes a failure of the stand-in of an error that the operation does not declare:
// clients could not expect it of the service.
func onlyDeclared(o *kvsmodel.Operation, err error) error {
	var refused *awsapi.Error
	if errors.As(err, &refused) && !o.Declares(refused.Name) {
		return fmt.Errorf("%s does not declare the error that localcloud was to answer: %s", o.Name, refused)
	}
	return err
}

var operations = map[string]func(*ControlPlane, []byte) ([]byte, error){
	"CreateStream":        awsapi.JSONOperation((*ControlPlane).createStream),
	"DescribeStream":      awsapi.JSONOperation((*ControlPlane).describeStream),
	"ListStreams":         awsapi.JSONOperation((*ControlPlane).listStreams),
	"DeleteStream":        awsapi.JSONOperation((*ControlPlane).deleteStream),
	"UpdateStream":        awsapi.JSONOperation((*ControlPlane).updateStream),
	"UpdateDataRetention": awsapi.JSONOperation((*ControlPlane).updateDataRetention),
	"GetDataEndpoint":     awsapi.JSONOperation((*ControlPlane).getDataEndpoint),

	"TagStream":           awsapi.JSONOperation((*ControlPlane).tagStream),
	"UntagStream":         awsapi.JSONOperation((*ControlPlane).untagStream),
	"ListTagsForStream":   awsapi.JSONOperation((*ControlPlane).listTagsForStream),
	"TagResource":         awsapi.JSONOperation((*ControlPlane).tagResource),
	"UntagResource":       awsapi.JSONOperation((*ControlPlane).untagResource),
	"ListTagsForResource": awsapi.JSONOperation((*ControlPlane).listTagsForResource),

	"UpdateImageGenerationConfiguration":   awsapi.JSONOperation((*ControlPlane).updateImageGeneration),
	"DescribeImageGenerationConfiguration": awsapi.JSONOperation((*ControlPlane).describeImageGeneration),
	"UpdateNotificationConfiguration":      awsapi.JSONOperation((*ControlPlane).updateNotification),
	"DescribeNotificationConfiguration":    awsapi.JSONOperation((*ControlPlane).describeNotification),
	"UpdateStreamStorageConfiguration":     awsapi.JSONOperation((*ControlPlane).updateStreamStorage),
	"DescribeStreamStorageConfiguration":   awsapi.JSONOperation((*ControlPlane).describeStreamStorage),

	"StartEdgeConfigurationUpdate": awsapi.JSONOperation((*ControlPlane).startEdgeConfigurationUpdate),
	"DescribeEdgeConfiguration":    awsapi.JSONOperation((*ControlPlane).describeEdgeConfiguration),
	"DeleteEdgeConfiguration":      awsapi.JSONOperation((*ControlPlane).deleteEdgeConfiguration),
	"ListEdgeAgentConfigurations":  awsapi.JSONOperation((*ControlPlane).listEdgeAgentConfigurations),
}

// badMember is the error of a member that has a good shape and a value that does not fit.
func badMember(member, format string, args ...any) *awsapi.Error {
	return awsapi.Errorf(http.StatusBadRequest, kvsmodel.InvalidArgument, member, format, args...)
}

func notFound(member, named string) *awsapi.Error {
	return awsapi.Errorf(http.StatusNotFound, kvsmodel.ResourceNotFound, member, "The requested stream %s is not found or not active.", named)
}

// page reads which part of a list a request asks for: how many entries at most, and the name after
// which they start.
func page(maxResults *int, initial, most int, token string) (limit int, after string, err error) {
	limit = initial
	if maxResults != nil {
		if limit = *maxResults; limit < 1 || limit > most {
			return 0, "", badMember("MaxResults", "MaxResults must be 1 to %d", most)
		}
	}
	name, err := base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(token))
	if err != nil || token != "" && !streamPattern.Match(name) {
		return 0, "", foreignToken()
	}
	return limit, string(name), nil
}

// streamToken is awsapi.TokenAfter in the characters that a NextToken of KVS may have.
func streamToken(name string) string { return base64.StdEncoding.EncodeToString([]byte(name)) }

func foreignToken() error {
	return badMember("NextToken", "NextToken is not one that an earlier answer returned")
}
