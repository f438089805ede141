package logfile

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// off lies above every level that anything is logged at.
const off = zapcore.FatalLevel + 1

// Level is what is logged. It may be changed while the agent runs. Safe for concurrent use.
type Level struct {
	zap zap.AtomicLevel

	mu   sync.Mutex
	name string // as the user named it, guarded by mu
}

// NewLevel returns the level of that name, INFO for one that does not exist.
func NewLevel(name string) *Level {
	l := &Level{zap: zap.NewAtomicLevel(), name: "INFO"}
	_ = l.Set(name) // settings are checked before
	return l
}

// Get returns the level's name.
func (l *Level) Get() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.name
}

// Set changes the level. Upper and lower case are the same.
func (l *Level) Set(name string) error {
	name = strings.ToUpper(strings.TrimSpace(name))
	if !slices.Contains(settings.LogLevels, name) {
		return fmt.Errorf("%q is not a log level; it must be one of %s", name, strings.Join(settings.LogLevels, ", "))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.name = name
	l.zap.SetLevel(zapLevel(name))
	return nil
}

// zapLevel translates the level names of AWS's agent. zap has nothing below debug.
func zapLevel(name string) zapcore.Level {
	switch name {
	case "OFF":
		return off
	case "FATAL":
		return zapcore.FatalLevel
	case "ERROR":
		return zapcore.ErrorLevel
	case "WARN":
		return zapcore.WarnLevel
	case "ALL", "DEBUG", "TRACE":
		return zapcore.DebugLevel
	default:
		return zapcore.InfoLevel
	}
}
