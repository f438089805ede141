package iot

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/devicetls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iam"
)

// The paths of the IoT data plane.
const (
	topicsPath   = "/topics/"
	retainedPath = "/retainedMessage"
)

// maxRetainedListed bounds a page of ListRetainedMessages. Source: API reference, maxResults.
const maxRetainedListed = 200

// IsData reports whether a path is one of the data plane.
func IsData(path string) bool {
	return strings.HasPrefix(path, topicsPath) || strings.HasPrefix(path, retainedPath)
}

// DataAPI returns the data plane as the HTTPS endpoint has it.
func (b *Broker) DataAPI() awsapi.Service {
	return awsapi.Service{
		Name:      awsapi.IoTData,
		Protocol:  func(*http.Request) awsapi.Protocol { return awsapi.IoTREST },
		Operation: func(r *http.Request, _ []byte) string { return dataOperation(r) },
		Resource:  func(r *http.Request, _ []byte) string { return topicOf(r) },
		Get: func(r *http.Request) bool {
			return strings.HasPrefix(r.URL.Path, retainedPath) || r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, topicsPath)
		},
		Call: b.call,
	}
}

func dataOperation(r *http.Request) string {
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, topicsPath):
		return "Publish"
	case path == retainedPath || path == retainedPath+"/":
		return "ListRetainedMessages"
	case strings.HasPrefix(path, retainedPath+"/"):
		return "GetRetainedMessage"
	default:
		return r.Method + " " + path
	}
}

func (b *Broker) call(operation string, r *http.Request, body []byte) ([]byte, error) {
	switch operation {
	case "Publish":
		return b.publishOverHTTP(r, body)
	case "GetRetainedMessage":
		return b.retained(topicOf(r))
	case "ListRetainedMessages":
		return b.listRetained(r.URL.Query())
	}
	return nil, awsapi.Errorf(http.StatusNotFound, "UnknownOperationException", "the path",
		"localcloud has no IoT data operation at %s; it has Publish, GetRetainedMessage and ListRetainedMessages", operation)
}

// topicOf is the topic in a path, whose slashes may be escaped or not.
func topicOf(r *http.Request) string {
	for _, prefix := range []string{topicsPath, retainedPath + "/"} {
		if topic, ok := strings.CutPrefix(r.URL.Path, prefix); ok {
			return topic
		}
	}
	return ""
}

// publishOverHTTP is Publish. Who may was seen to, but for the retain flag.
func (b *Broker) publishOverHTTP(r *http.Request, payload []byte) ([]byte, error) {
	e, query, topic := calls.Of(r.Context()), r.URL.Query(), topicOf(r)
	qos, retain := query.Get("qos"), query.Get("retain")
	switch fault := topicFault(topic); {
	case fault != "":
		return nil, awsapi.Errorf(http.StatusBadRequest, "InvalidRequestException", "topic", "the topic %s", fault)
	case qos != "" && qos != "0" && qos != "1":
		return nil, awsapi.Errorf(http.StatusBadRequest, "InvalidRequestException", "qos", "qos must be 0 or 1")
	case retain != "" && retain != "true" && retain != "false":
		return nil, awsapi.Errorf(http.StatusBadRequest, "InvalidRequestException", "retain", "retain must be true or false")
	case len(payload) > maxPayload:
		return nil, awsapi.Errorf(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "body",
			"the payload has %d bytes; at most %d are allowed", len(payload), maxPayload)
	}
	if retain == "true" {
		if err := b.mayRetain(e, topic); err != nil {
			return nil, err
		}
	}
	level := byte(0)
	if qos == "1" {
		level = 1
	}
	if err := b.server.Publish(topic, payload, retain == "true", level); err != nil {
		return nil, fmt.Errorf("the message broker does not accept a message: %w", err)
	}
	return awsapi.JSONText(map[string]string{"message": "OK", "traceId": e.ID}), nil
}

// mayRetain checks iot:RetainPublish of the role of a device that signed, or of the policy of a
// certificate.
func (b *Broker) mayRetain(e *calls.Call, topic string) error {
	who := iam.Caller{Thing: e.Thing}
	if e.Certificate {
		return b.authorizeCertificate(who, "RetainPublish", topic)
	}
	return b.o.Policies.Authorize(who, awsapi.IoTData, "RetainPublish", topic)
}

// authorizeCertificate is authorize by the IoT policy of a certificate.
func (b *Broker) authorizeCertificate(who iam.Caller, operation, topic string) error {
	action := iam.Action(awsapi.IoTData, operation)
	if b.o.Policies.PolicyAllows(action, owns(who.Thing, topic)) {
		return nil
	}
	return b.o.Policies.Denied(who, awsapi.IoTData, action, topic)
}

// HandleData is the HTTPS side of the IoT data endpoint: requests that are signed, or that come
// with a certificate and no signature. Everything else it does not find. Those that are signed go to signed.
// Source: IoT Core developer guide, "Device communication protocols", HTTPS; an answer of AWS's to
// a request for credentials that was sent here: 404 {"message":"Not Found","traceId":…}.
func (b *Broker) HandleData(w http.ResponseWriter, r *http.Request, signed http.HandlerFunc) {
	e := calls.Of(r.Context())
	e.Service = awsapi.IoTData
	switch thing := devicetls.ThingOf(r); {
	case !IsData(r.URL.Path):
		b.o.Log.NotFound(w, e)
	case r.Header.Get("Authorization") != "":
		signed(w, r)
	case thing == "":
		missing := awsapi.Forbidden(awsapi.MissingToken, awsapi.InAuthorization, "Missing Authentication Token")
		b.o.Log.Answer(w, e, awsapi.IoTREST, nil, missing)
	default:
		answer, err := b.answerCertificate(r, e, thing)
		b.o.Log.Answer(w, e, awsapi.IoTREST, answer, err)
	}
}

// answerCertificate answers a request of a device that shows its certificate.
func (b *Broker) answerCertificate(r *http.Request, e *calls.Call, thing string) ([]byte, error) {
	api := b.DataAPI()
	e.Operation, e.Resource = dataOperation(r), topicOf(r)
	e.Caller, e.Thing, e.Certificate = thing, thing, true
	body, err := awsapi.ReadBody(r)
	if err != nil {
		return nil, err
	}
	if (r.Method == http.MethodGet) != api.Get(r) {
		return nil, awsapi.Errorf(http.StatusMethodNotAllowed, "MethodNotAllowedException", "the method", "AWS takes another method here")
	}
	if err := b.authorizeCertificate(iam.Caller{Thing: thing}, e.Operation, e.Resource); err != nil {
		return nil, err
	}
	return b.call(e.Operation, r, body)
}

// retained answers GetRetainedMessage.
func (b *Broker) retained(topic string) ([]byte, error) {
	pk, ok := b.server.Topics.Retained.Get(topic)
	if !ok || strings.HasPrefix(topic, "$") {
		return nil, awsapi.Errorf(http.StatusNotFound, "ResourceNotFoundException", "topic", "No retained message exists for the topic")
	}
	return json.Marshal(struct {
		Topic            string `json:"topic"`
		Payload          []byte `json:"payload"`
		QoS              byte   `json:"qos"`
		LastModifiedTime int64  `json:"lastModifiedTime"`
	}{topic, pk.Payload, pk.FixedHeader.Qos, pk.Created * 1000})
}

// listRetained answers ListRetainedMessages.
func (b *Broker) listRetained(query url.Values) ([]byte, error) {
	type summary struct {
		Topic            string `json:"topic"`
		PayloadSize      int    `json:"payloadSize"`
		QoS              byte   `json:"qos"`
		LastModifiedTime int64  `json:"lastModifiedTime"`
	}
	out := struct {
		RetainedTopics []summary `json:"retainedTopics"`
		NextToken      string    `json:"nextToken,omitempty"`
	}{RetainedTopics: []summary{}}
	limit := maxRetainedListed
	if text := query.Get("maxResults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxRetainedListed {
			return nil, awsapi.Errorf(http.StatusBadRequest, "InvalidRequestException", "maxResults", "maxResults must be 1 to %d",
				maxRetainedListed)
		}
		limit = n
	}
	after, err := awsapi.ReadToken(query.Get("nextToken"))
	if err != nil {
		return nil, awsapi.Errorf(http.StatusBadRequest, "InvalidRequestException", "nextToken",
			"nextToken is not one that an earlier answer had")
	}
	all := b.server.Topics.Retained.GetAll()
	for _, topic := range slices.Sorted(maps.Keys(all)) {
		if topic <= after || strings.HasPrefix(topic, "$") {
			continue
		}
		if len(out.RetainedTopics) == limit {
			out.NextToken = awsapi.TokenAfter(out.RetainedTopics[limit-1].Topic)
			break
		}
		pk := all[topic]
		out.RetainedTopics = append(out.RetainedTopics, summary{topic, len(pk.Payload), pk.FixedHeader.Qos, pk.Created * 1000})
	}
	return json.Marshal(out)
}
