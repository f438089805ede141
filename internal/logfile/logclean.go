package logfile

import (
	"fmt"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

const (
	// maxLogText bounds a line of a message or of a field in the log, in runes.
	maxLogText = 2 << 10
	// maxLogLines bounds the lines of a field: stacks of panics are longer than sentences.
	maxLogLines = 100
)

// cleaned has all texts of a log cleaned: errors quote what cameras and services sent.
func cleaned(core zapcore.Core) zapcore.Core { return &cleaner{core} }

type cleaner struct{ zapcore.Core }

// With implements zapcore.Core.
func (c *cleaner) With(fields []zapcore.Field) zapcore.Core {
	return &cleaner{c.Core.With(cleanFields(fields))}
}

// Check implements zapcore.Core.
func (c *cleaner) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) {
		return checked
	}
	return checked.AddCore(e, c)
}

// Write implements zapcore.Core.
func (c *cleaner) Write(e zapcore.Entry, fields []zapcore.Field) error {
	e.Message = health.Clean(e.Message, maxLogText)
	return c.Core.Write(e, cleanFields(fields))
}

// cleanFields cleans the fields that are text.
func cleanFields(fields []zapcore.Field) []zapcore.Field {
	var out []zapcore.Field
	for i, f := range fields {
		clean, changed := cleanField(f)
		if changed && out == nil {
			out = append(make([]zapcore.Field, 0, len(fields)), fields[:i]...)
		}
		if out != nil {
			out = append(out, clean)
		}
	}
	if out == nil {
		return fields
	}
	return out
}

func cleanField(f zapcore.Field) (clean zapcore.Field, changed bool) {
	switch f.Type {
	case zapcore.StringType:
		text := cleanText(f.String)
		return zap.String(f.Key, text), text != f.String
	case zapcore.ErrorType:
		err, ok := f.Interface.(error)
		if !ok || err == nil {
			return f, false
		}
		text := shownError(err)
		if clean := cleanText(text); clean != text {
			return zap.String(f.Key, clean), true
		}
		return f, false
	case zapcore.StringerType, zapcore.ByteStringType, zapcore.ArrayMarshalerType, zapcore.ObjectMarshalerType, zapcore.ReflectType:
		return cleanCompound(f), true
	default:
		return f, false
	}
}

// cleanCompound has a field write itself down, and cleans what it wrote.
func cleanCompound(f zapcore.Field) zapcore.Field {
	written := zapcore.NewMapObjectEncoder()
	f.AddTo(written)
	value, ok := written.Fields[f.Key]
	if !ok { // it could not be written, and says why under another key
		return zap.String(f.Key, health.Clean(fmt.Sprint(written.Fields), maxLogText))
	}
	return zap.Any(f.Key, cleanValue(value))
}

func cleanValue(value any) any {
	switch v := value.(type) {
	case string:
		return cleanText(v)
	case []any:
		for i := range v {
			v[i] = cleanValue(v[i])
		}
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, of := range v {
			out[health.Clean(key, health.MaxPart)] = cleanValue(of)
		}
		return out
	case bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64, nil:
		return v
	default:
		return health.Clean(fmt.Sprintf("%+v", v), maxLogText)
	}
}

// cleanText cleans the lines of a text. The encoders write their ends in an escaped form.
func cleanText(text string) string { return health.CleanLines(text, maxLogText, maxLogLines) }

// shownError is the text of an error, also of a nil pointer that is one.
func shownError(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = "<nil>"
		}
	}()
	return err.Error()
}
