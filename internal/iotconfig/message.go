package iotconfig

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

// maxMessage is what a message may have. Source: AWS IoT Core quotas, payload of a publication: 128 KB.
const maxMessage = 128 << 10

// maxDetails bounds FailedStatusDetails and job details.
const maxDetails = 1000

// The sync statuses that are published. Source: KVS API, SyncStatus; Deleted is ours and says
// that the media is gone and the record may go.
const (
	Acknowledged         = "ACKNOWLEDGED"
	InSync               = "IN_SYNC"
	SyncFailed           = "SYNC_FAILED"
	DeletingAcknowledged = "DELETING_ACKNOWLEDGED"
	DeleteFailed         = "DELETE_FAILED"
	Deleted              = "DELETED"

	// The ones that only the control plane gives.
	syncing  = "SYNCING"
	deleting = "DELETING"
)

// topics of one thing.
type topics struct {
	update, delete, refresh, configStatus, jobsStatus, agentStatus string
	uploadRequest, uploadStatus                                    string
}

func topicsOf(thing string) topics {
	prefix := "kvs-edge/" + thing + "/"
	return topics{
		update:       prefix + "config/update",
		delete:       prefix + "config/delete",
		refresh:      prefix + "config/refresh",
		configStatus: prefix + "config/status",
		jobsStatus:   prefix + "jobs/status",
		agentStatus:  prefix + "agent/status",

		uploadRequest: prefix + "upload/request",
		uploadStatus:  prefix + "upload/status",
	}
}

// refusal is a message that cannot be followed. Stream is empty when it cannot be told whom it
// is about; then nobody can be answered.
type refusal struct {
	Stream, ARN string
	LastUpdated time.Time
	Text        string
}

// Error gives the sentence.
func (r *refusal) Error() string { return r.Text }

// streamPattern is that of the KVS API, StreamName.
var streamPattern = regexp.MustCompile(kvslimit.StreamName)

// isStreamName also refuses names of dots only, which could not be a directory.
func isStreamName(name string) bool {
	return streamPattern.MatchString(name) && strings.Trim(name, ".") != ""
}

// envelope is what update and delete messages have in common. Each member is read by itself, so
// that one wrong member does not hide which stream is meant.
type envelope struct {
	StreamName, StreamARN, LastUpdatedTime, EdgeConfig json.RawMessage
}

// parseUpdate reads a config/update message. The error is a *refusal.
func parseUpdate(payload []byte) (StreamConfig, error) {
	config, edge, err := parseEnvelope(payload)
	if err != nil {
		return StreamConfig{}, err
	}
	refuse := func(text string) (StreamConfig, error) {
		return StreamConfig{}, &refusal{Stream: config.StreamName, ARN: config.StreamARN, LastUpdated: config.LastUpdated, Text: text}
	}
	if len(edge) == 0 || string(edge) == "null" {
		return refuse("EdgeConfig is missing")
	}
	if config.Config, err = edgeconfig.Parse(edge); err != nil {
		return refuse(err.Error())
	}
	return config, nil
}

// parseDelete reads a config/delete message; Config stays empty. The error is a *refusal.
func parseDelete(payload []byte) (StreamConfig, error) {
	config, _, err := parseEnvelope(payload)
	return config, err
}

func parseEnvelope(payload []byte) (StreamConfig, json.RawMessage, error) {
	var e envelope
	// A document beyond eight times the limit is not even searched for a name.
	if len(payload) > 8*maxMessage {
		return StreamConfig{}, nil, &refusal{Text: "the message has " + strconv.Itoa(len(payload)) + " bytes, at most " + strconv.Itoa(maxMessage) + " are allowed"}
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return StreamConfig{}, nil, &refusal{Text: "the message is not a JSON object"}
		}
		return StreamConfig{}, nil, &refusal{Text: "the message is not JSON"}
	}
	var config StreamConfig
	if json.Unmarshal(e.StreamName, &config.StreamName) != nil || config.StreamName == "" {
		return StreamConfig{}, nil, &refusal{Text: "StreamName is missing or not a string"}
	}
	name := config.StreamName
	if !isStreamName(name) {
		return StreamConfig{}, nil, &refusal{Text: "StreamName must have 1 to 256 letters, digits, or _.- and not only dots"}
	}
	var at epoch
	timeErr := at.UnmarshalJSON(e.LastUpdatedTime)
	config.LastUpdated = at.Time
	refuse := func(text string) (StreamConfig, json.RawMessage, error) {
		return StreamConfig{}, nil, &refusal{Stream: name, ARN: config.StreamARN, LastUpdated: at.Time, Text: text}
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
	case len(payload) > maxMessage:
		return refuse("the message has " + strconv.Itoa(len(payload)) + " bytes, at most " + strconv.Itoa(maxMessage) + " are allowed")
	}
	return config, e.EdgeConfig, nil
}

// arnIsOf reports whether arn is a stream's and has that name in it:
// arn:aws:kinesisvideo:us-west-2:123456789012:stream/name/1600000000000.
func arnIsOf(arn, name string) bool {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "kinesisvideo" {
		return false
	}
	kind, rest, _ := strings.Cut(parts[5], "/")
	got, _, _ := strings.Cut(rest, "/")
	return kind == "stream" && got == name
}

// syncStatus is the payload of config/status.
type syncStatus struct {
	StreamName          string `json:"StreamName"`
	StreamARN           string `json:"StreamARN,omitempty"`
	SyncStatus          string `json:"SyncStatus"`
	FailedStatusDetails string `json:"FailedStatusDetails,omitempty"`
	LastUpdatedTime     epoch  `json:"LastUpdatedTime,omitzero"`
	Time                epoch  `json:"Time"`
}

// agentStatus is the payload of agent/status.
type agentStatus struct {
	Status  string `json:"Status"`
	Version string `json:"Version"`
	Time    epoch  `json:"Time"`
}

// jobsStatus is the payload of jobs/status.
type jobsStatus struct {
	Time    epoch           `json:"Time"`
	Streams []streamJobsDoc `json:"Streams"`
}

type streamJobsDoc struct {
	StreamName string  `json:"StreamName"`
	Recorder   *jobDoc `json:"Recorder,omitempty"`
	Uploader   *jobDoc `json:"Uploader,omitempty"`
}

type jobDoc struct {
	Status            string `json:"Status"`
	Details           string `json:"Details,omitempty"`
	LastCollectedTime epoch  `json:"LastCollectedTime,omitzero"`
	LastUpdatedTime   epoch  `json:"LastUpdatedTime,omitzero"`
}

func shorten(s string) string {
	return health.Clean(s, maxDetails)
}
