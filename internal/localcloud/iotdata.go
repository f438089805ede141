package localcloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// The paths of the IoT data plane.
const (
	topicsPath   = "/topics/"
	retainedPath = "/retainedMessage"
)

// maxRetainedListed bounds a page of ListRetainedMessages. Source: API reference, maxResults.
const maxRetainedListed = 200

var iotDataService = service{
	name: serviceIoTData,
	wire: func(*http.Request) wire { return wireIoT },
	operation: func(r *http.Request, _ []byte) string {
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
	},
	resource: func(r *http.Request, _ []byte) string { return topicOf(r) },
	get: func(r *http.Request) bool {
		return strings.HasPrefix(r.URL.Path, retainedPath) || r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, topicsPath)
	},
	call: func(c *Cloud, operation string, r *http.Request, body []byte) ([]byte, error) {
		switch operation {
		case "Publish":
			return c.publishOverHTTP(r, body)
		case "GetRetainedMessage":
			return c.broker.retained(topicOf(r))
		case "ListRetainedMessages":
			return c.broker.listRetained(r.URL.Query())
		}
		return nil, iotError(http.StatusNotFound, "UnknownOperationException", "the path",
			"localcloud has no IoT data operation at %s; it has Publish, GetRetainedMessage and ListRetainedMessages", operation)
	},
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
func (c *Cloud) publishOverHTTP(r *http.Request, payload []byte) ([]byte, error) {
	e, query, topic := callOf(r.Context()), r.URL.Query(), topicOf(r)
	qos, retain := query.Get("qos"), query.Get("retain")
	switch fault := topicFault(topic); {
	case fault != "":
		return nil, iotError(http.StatusBadRequest, "InvalidRequestException", "topic", "the topic %s", fault)
	case qos != "" && qos != "0" && qos != "1":
		return nil, iotError(http.StatusBadRequest, "InvalidRequestException", "qos", "qos must be 0 or 1")
	case retain != "" && retain != "true" && retain != "false":
		return nil, iotError(http.StatusBadRequest, "InvalidRequestException", "retain", "retain must be true or false")
	case len(payload) > maxPayload:
		return nil, iotError(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "body",
			"the payload has %d bytes; at most %d are allowed", len(payload), maxPayload)
	}
	if retain == "true" {
		if err := c.mayRetain(e, topic); err != nil {
			return nil, err
		}
	}
	level := byte(0)
	if qos == "1" {
		level = 1
	}
	if err := c.broker.server.Publish(topic, payload, retain == "true", level); err != nil {
		return nil, fmt.Errorf("the message broker does not take a message: %w", err)
	}
	return jsonText(map[string]string{"message": "OK", "traceId": e.id}), nil
}

// mayRetain checks iot:RetainPublish of the role of a device that signed, or of the policy of a
// certificate.
func (c *Cloud) mayRetain(e *call, topic string) error {
	who := caller{Thing: e.thing}
	if e.certificate {
		return c.authorizeCertificate(who, "RetainPublish", topic)
	}
	return c.authorize(who, serviceIoTData, "RetainPublish", topic)
}

// authorizeCertificate is authorize by the IoT policy of a certificate.
func (c *Cloud) authorizeCertificate(who caller, operation, topic string) error {
	action := actionOf(serviceIoTData, operation)
	if c.policyAllows(action, owns(who.Thing, topic)) {
		return nil
	}
	return c.denied(who, serviceIoTData, action, topic)
}

// handleData is the HTTPS side of the IoT data endpoint: requests that are signed, or that come
// with a certificate and no signature. Everything else it does not find.
// Source: IoT Core developer guide, "Device communication protocols", HTTPS; an answer of AWS's to
// a request for credentials that was sent here: 404 {"message":"Not Found","traceId":…}.
func (c *Cloud) handleData(w http.ResponseWriter, r *http.Request) {
	e := callOf(r.Context())
	e.service = serviceIoTData
	isData := strings.HasPrefix(r.URL.Path, topicsPath) || strings.HasPrefix(r.URL.Path, retainedPath)
	switch thing := certificateThing(r); {
	case !isData:
		c.notFound(w, e)
	case r.Header.Get("Authorization") != "":
		c.serveAPI(w, r)
	case thing == "":
		c.answerIoT(w, e, nil, forbidden(missingToken, inAuthorization, "Missing Authentication Token"))
	default:
		c.serveCertificate(w, r, thing)
	}
}

// serveCertificate answers a request of a device that shows its certificate.
func (c *Cloud) serveCertificate(w http.ResponseWriter, r *http.Request, thing string) {
	e, s := callOf(r.Context()), iotDataService
	e.operation, e.resource = s.operation(r, nil), topicOf(r)
	e.caller, e.thing, e.certificate = thing, thing, true
	body, err := readSigned(r)
	if err == nil && (r.Method == http.MethodGet) != s.get(r) {
		err = iotError(http.StatusMethodNotAllowed, "MethodNotAllowedException", "the method", "AWS takes another method here")
	}
	if err == nil {
		err = c.authorizeCertificate(caller{Thing: thing}, e.operation, e.resource)
	}
	var answer []byte
	if err == nil {
		answer, err = s.call(c, e.operation, r, body)
	}
	c.answerIoT(w, e, answer, err)
}

func (c *Cloud) answerIoT(w http.ResponseWriter, e *call, answer []byte, err error) {
	w.Header().Set("Content-Type", wireIoT.contentType)
	status := http.StatusOK
	if err != nil {
		refused := c.httpError(err)
		c.refuse(e, refused)
		status, answer = refused.Status, wireIoT.refuse(w.Header(), refused, e.id)
	}
	w.WriteHeader(status)
	_, _ = w.Write(answer) // the client may be gone
}

// notFound is what an endpoint answers that has nothing at a path.
func (c *Cloud) notFound(w http.ResponseWriter, e *call) {
	e.operation = "request of a path that is not here"
	c.answerIoT(w, e, nil, &media.HTTPError{Status: http.StatusNotFound, Message: "Not Found", Where: "the path"})
}

// retained answers GetRetainedMessage.
func (b *broker) retained(topic string) ([]byte, error) {
	pk, ok := b.server.Topics.Retained.Get(topic)
	if !ok || strings.HasPrefix(topic, "$") {
		return nil, iotError(http.StatusNotFound, "ResourceNotFoundException", "topic", "No retained message exists for the topic")
	}
	return json.Marshal(struct {
		Topic            string `json:"topic"`
		Payload          []byte `json:"payload"`
		QoS              byte   `json:"qos"`
		LastModifiedTime int64  `json:"lastModifiedTime"`
	}{topic, pk.Payload, pk.FixedHeader.Qos, pk.Created * 1000})
}

// listRetained answers ListRetainedMessages.
func (b *broker) listRetained(query url.Values) ([]byte, error) {
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
			return nil, iotError(http.StatusBadRequest, "InvalidRequestException", "maxResults", "maxResults must be 1 to %d", maxRetainedListed)
		}
		limit = n
	}
	after, err := readToken(query.Get("nextToken"))
	if err != nil {
		return nil, iotError(http.StatusBadRequest, "InvalidRequestException", "nextToken", "nextToken is not one that an earlier answer had")
	}
	all := b.server.Topics.Retained.GetAll()
	for _, topic := range slices.Sorted(maps.Keys(all)) {
		if topic <= after || strings.HasPrefix(topic, "$") {
			continue
		}
		if len(out.RetainedTopics) == limit {
			out.NextToken = tokenAfter(out.RetainedTopics[limit-1].Topic)
			break
		}
		pk := all[topic]
		out.RetainedTopics = append(out.RetainedTopics, summary{topic, len(pk.Payload), pk.FixedHeader.Qos, pk.Created * 1000})
	}
	return json.Marshal(out)
}
