// Package logevent owns the vocabulary of the agent's log: every line above Debug is an Event of Groups, or about a
// condition of health.Declarations. It must not know who logs, nor how lines are written.
package logevent

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Fields that mean the same in every line that has them.
const (
	KeyEvent  = "event"  // the Event, or the code of the condition, without a slash and the name after it
	KeyCode   = "code"   // the whole code of the condition, as in `status --json`
	KeyClass  = "class"  // the health.Class of the condition
	KeyStream = "stream" // the stream's name
	KeyJob    = "job"    // the job of the stream, as in `status --json`
	KeyError  = "error"  // a sentence of a condition, or why something failed
	KeyCause  = "cause"  // the error beneath the sentence, for developers
)

// Event is the stable name of a line of the log. Alerts are made of it: it stays when the message changes.
type Event string

// Row says what the lines of an event have in common.
type Row struct {
	Event   Event
	Level   zapcore.Level
	Message string // a phrase in plain English
	Help    string // what it means and, for a warning or an error, what to do
}

// Group is a part of the agent's events, for the page about them.
type Group struct {
	Title string
	Rows  []Row
}

var rows = byEvent(Groups)

func byEvent(groups []Group) map[Event]Row {
	all := make(map[Event]Row)
	for _, g := range groups {
		for _, row := range g.Rows {
			all[row.Event] = row
		}
	}
	return all
}

// Log writes the line of an event: level and message are those of its row.
func (e Event) Log(log *zap.Logger, fields ...zap.Field) {
	row := rows[e]
	if line := log.Check(row.Level, row.Message); line != nil {
		line.Write(append([]zap.Field{zap.String(KeyEvent, string(e))}, fields...)...)
	}
}

// Condition writes the line of a condition that is new: its code, class, sentence and cause. The message is the title
// of its declaration.
func Condition(log *zap.Logger, f *health.Fault, fields ...zap.Field) {
	name, message := f.Code, "condition raised"
	if d, ok := health.Declared(f.Code); ok {
		name, message = d.Code, messageOf(d)
	}
	line := log.Check(LevelOf(name), message)
	if line == nil {
		return
	}
	about := []zap.Field{
		zap.String(KeyEvent, name), zap.String(KeyCode, f.Code), zap.String(KeyClass, string(f.Class)), zap.Error(f),
	}
	if f.Err != nil {
		about = append(about, zap.NamedError(KeyCause, f.Err))
	}
	line.Write(append(about, fields...)...)
}

// LevelOf is the level of a condition's lines, by its code.
func LevelOf(code string) zapcore.Level {
	if level, ok := levels[code]; ok {
		return level
	}
	return zapcore.WarnLevel
}

// levels are those of the conditions that are not logged as warnings: errors, where media is at stake or the agent is
// at fault, and what is for information only.
var levels = map[string]zapcore.Level{
	"recording":             zapcore.ErrorLevel,
	"disk":                  zapcore.ErrorLevel,
	"recordings-unreadable": zapcore.ErrorLevel,
	"local-api":             zapcore.ErrorLevel,
	"settings-refused":      zapcore.ErrorLevel,
	"job-ended":             zapcore.ErrorLevel,
	"internal-error":        zapcore.ErrorLevel,

	"clock-step":         zapcore.InfoLevel,
	"quarantine":         zapcore.InfoLevel,
	"settings-restart":   zapcore.InfoLevel,
	"stream-overruled":   zapcore.InfoLevel,
	"times-wrong":        zapcore.InfoLevel,
	"audio":              zapcore.InfoLevel,
	"audio-not-uploaded": zapcore.InfoLevel,
	"camera-source":      zapcore.InfoLevel,
	"other-tracks":       zapcore.InfoLevel,
}
