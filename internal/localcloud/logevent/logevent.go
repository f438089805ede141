// Package logevent owns the vocabulary of the local cloud's log: every line above Debug is an Event. It shares nothing
// with that of the agent.
package logevent

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Event is the stable name of a line of the log, its field `event`.
type Event string

// The events.
const (
	InternalFailure         Event = "internal-failure"
	ConnectionFailed        Event = "connection-failed"
	CertificateNotCreated   Event = "certificate-not-created"
	MessageNotPublished     Event = "message-not-published"
	RetainedNotSaved        Event = "retained-not-saved"
	ChangeNotSaved          Event = "change-not-saved"
	ConfigurationNotEncoded Event = "configuration-not-encoded"
	ConfigStatusUnreadable  Event = "config-status-unreadable"
	JobsStatusUnreadable    Event = "jobs-status-unreadable"
	PutMediaRefused         Event = "putmedia-refused"
	PutMediaInterrupted     Event = "putmedia-interrupted"
	FragmentRefused         Event = "fragment-refused"
	FragmentNotDropped      Event = "fragment-not-dropped"
	GetMediaInterrupted     Event = "getmedia-interrupted"
)

type row struct {
	level   zapcore.Level
	message string
}

var rows = map[Event]row{
	InternalFailure:         {zap.ErrorLevel, "internal failure of the local cloud"},
	ConnectionFailed:        {zap.InfoLevel, "connection of a client failed"},
	CertificateNotCreated:   {zap.ErrorLevel, "device certificate of the thing not created"},
	MessageNotPublished:     {zap.ErrorLevel, "message to the thing not published"},
	RetainedNotSaved:        {zap.ErrorLevel, "retained messages not saved"},
	ChangeNotSaved:          {zap.ErrorLevel, "change of the control plane not saved"},
	ConfigurationNotEncoded: {zap.ErrorLevel, "configuration of the stream not encoded"},
	ConfigStatusUnreadable:  {zap.WarnLevel, "message on config/status unreadable"},
	JobsStatusUnreadable:    {zap.WarnLevel, "message on jobs/status unreadable"},
	PutMediaRefused:         {zap.InfoLevel, "request of PutMedia refused"},
	PutMediaInterrupted:     {zap.InfoLevel, "connection of PutMedia interrupted"},
	FragmentRefused:         {zap.WarnLevel, "fragment of PutMedia refused"},
	FragmentNotDropped:      {zap.ErrorLevel, "unfinished fragment not removed from the media file"},
	GetMediaInterrupted:     {zap.InfoLevel, "connection of GetMedia interrupted"},
}

// Log writes the line of an event.
func (e Event) Log(log *zap.Logger, fields ...zap.Field) {
	row := rows[e]
	if line := log.Check(row.level, row.message); line != nil {
		line.Write(append([]zap.Field{zap.String("event", string(e))}, fields...)...)
	}
}
