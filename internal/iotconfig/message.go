package iotconfig

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/arn"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

// Configurations are the messages about configurations that have come.
type Configurations struct {
	inbox  *inbox
	topics topics
}

// Ready receives when there may be messages.
func (c Configurations) Ready() <-chan struct{} { return c.inbox.ready.C() }

// Take passes on the queued messages: a new configuration of a stream to update, the deletion of one, which has no
// Config, to remove, either with an *edgeconfig.Refusal instead when it is wrong; refresh asks for a listing. acknowledge
// notifies the broker that it need not send them again, and never blocks.
func (c Configurations) Take(update, remove func(edgeconfig.StreamConfig, error), refresh func()) (acknowledge func()) {
	messages := c.inbox.take()
	for _, m := range messages {
		switch m.topic {
		case c.topics.update:
			update(parseUpdate(m.payload))
		case c.topics.delete:
			remove(parseDelete(m.payload))
		case c.topics.refresh:
			refresh()
		}
	}
	return func() {
		for _, m := range messages {
			m.ack()
		}
	}
}

// UploadRequests are the messages that ask for uploads and have come.
type UploadRequests struct{ inbox *inbox }

// Ready receives when there may be messages.
func (u UploadRequests) Ready() <-chan struct{} { return u.inbox.ready.C() }

// Take calls each for the queued messages. acknowledge notifies the broker that it need not send one again, and never
// blocks.
func (u UploadRequests) Take(each func(payload []byte, acknowledge func())) {
	for _, m := range u.inbox.take() {
		each(m.payload, m.ack)
	}
}

// Events are the messages that trigger events, or ask for holds, and have come.
type Events struct{ inbox *inbox }

// Ready receives when there may be messages.
func (e Events) Ready() <-chan struct{} { return e.inbox.ready.C() }

// Take calls each for the queued messages. repeated: the broker may have sent it before. acknowledge notifies the broker that it
// need not send one again, and never blocks.
func (e Events) Take(each func(payload []byte, repeated bool, acknowledge func())) {
	for _, m := range e.inbox.take() {
		each(m.payload, m.repeated, m.ack)
	}
}

// envelope is what update and delete messages have in common. Each member is read by itself, so
// that one wrong member does not hide which stream is meant.
type envelope struct {
	StreamName, StreamARN, LastUpdatedTime, EdgeConfig json.RawMessage
}

// parseUpdate reads a config/update message. The error is a *edgeconfig.Refusal.
func parseUpdate(payload []byte) (edgeconfig.StreamConfig, error) {
	config, edge, err := parseEnvelope(payload)
	if err != nil {
		return edgeconfig.StreamConfig{}, err
	}
	refuse := func(text string) (edgeconfig.StreamConfig, error) {
		return edgeconfig.StreamConfig{}, &edgeconfig.Refusal{Stream: config.StreamName, ARN: config.StreamARN,
			LastUpdated: config.LastUpdated, Text: text}
	}
	if len(edge) == 0 || string(edge) == "null" {
		return refuse("EdgeConfig is missing")
	}
	if config.Config, err = edgeconfig.Parse(edge); err != nil {
		return refuse(err.Error())
	}
	return config, nil
}

// parseDelete reads a config/delete message; Config stays empty. The error is a *edgeconfig.Refusal.
func parseDelete(payload []byte) (edgeconfig.StreamConfig, error) {
	config, _, err := parseEnvelope(payload)
	return config, err
}

func parseEnvelope(payload []byte) (edgeconfig.StreamConfig, json.RawMessage, error) {
	var e envelope
	// A document beyond eight times the limit is not even searched for a name.
	if len(payload) > 8*kvslimit.MessageBytes {
		return edgeconfig.StreamConfig{}, nil, &edgeconfig.Refusal{Text: "the message has " + strconv.Itoa(len(payload)) +
			" bytes, at most " + strconv.Itoa(kvslimit.MessageBytes) + " are allowed"}
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return edgeconfig.StreamConfig{}, nil, &edgeconfig.Refusal{Text: "the message is not a JSON object"}
		}
		return edgeconfig.StreamConfig{}, nil, &edgeconfig.Refusal{Text: "the message is not JSON"}
	}
	var config edgeconfig.StreamConfig
	if json.Unmarshal(e.StreamName, &config.StreamName) != nil || config.StreamName == "" {
		return edgeconfig.StreamConfig{}, nil, &edgeconfig.Refusal{Text: "StreamName is missing or not a string"}
	}
	name := config.StreamName
	if !kvslimit.IsStreamName(name) {
		return edgeconfig.StreamConfig{}, nil, &edgeconfig.Refusal{Text: "StreamName must have 1 to 256 letters, digits, or _.- and not only " +
			"dots"}
	}
	var at edgeconfig.Epoch
	timeErr := at.UnmarshalJSON(e.LastUpdatedTime)
	config.LastUpdated = at.Time
	refuse := func(text string) (edgeconfig.StreamConfig, json.RawMessage, error) {
		return edgeconfig.StreamConfig{}, nil, &edgeconfig.Refusal{Stream: name, ARN: config.StreamARN, LastUpdated: at.Time, Text: text}
	}
	if len(e.StreamARN) > 0 && string(e.StreamARN) != "null" {
		if json.Unmarshal(e.StreamARN, &config.StreamARN) != nil {
			return refuse("StreamARN must be a string")
		}
		if config.StreamARN != "" && !arnIsOf(config.StreamARN, name) {
			config.StreamARN = ""
			return refuse("StreamARN is not that of stream " + name)
		}
	}
	switch {
	case len(e.LastUpdatedTime) == 0:
		return refuse("LastUpdatedTime is missing")
	case timeErr != nil:
		return refuse("LastUpdatedTime " + timeErr.Error())
	case len(payload) > kvslimit.MessageBytes:
		return refuse("the message has " + strconv.Itoa(len(payload)) + " bytes, at most " + strconv.Itoa(kvslimit.MessageBytes) + " are allowed")
	}
	return config, e.EdgeConfig, nil
}

// arnIsOf reports whether text is the ARN of a stream and has that name in it:
// arn:aws:kinesisvideo:us-west-2:123456789012:stream/name/1600000000000.
func arnIsOf(text, name string) bool {
	stream, ok := arn.Parse(text)
	if !ok || stream.Service != "kinesisvideo" {
		return false
	}
	kind, rest, _ := strings.Cut(stream.Resource, "/")
	got, _, _ := strings.Cut(rest, "/")
	return kind == "stream" && got == name
}
