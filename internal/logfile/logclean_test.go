package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

type evilText string

func (e evilText) String() string { return string(e) }

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (e evilText) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString(string(e), string(e))
	return nil
}

// TestTheLogIsCleaned logs evil texts in all forms, as journald and the file get them.
func TestTheLogIsCleaned(t *testing.T) {
	t.Parallel()
	texts := []string{
		"\x1b[2J\x1b[H", "\u009b2J", "a\u202eb\u2066c", "a\u200bb\ufeff", "a\u2028b\u2029", "\xff\xfe", "a\x7f\x00b",
		strings.Repeat("x", 1<<20), strings.Repeat("\n\x1b", 1<<16),
	}
	config := zap.NewProductionEncoderConfig()
	for _, encoder := range []zapcore.Encoder{zapcore.NewConsoleEncoder(config), zapcore.NewJSONEncoder(config)} {
		for _, text := range texts {
			var out bytes.Buffer
			log := zap.New(cleaned(dedup(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.InfoLevel), time.Now)))
			log.With(zap.String("with", text)).Info(text,
				zap.String("string", text), zap.Error(errors.New(text)), zap.NamedError("cause", fmt.Errorf("outer: %w", errors.New(text))),
				zap.Strings("strings", []string{text}), zap.Any("any", map[string]any{"a": text}), zap.Stringer("stringer", evilText(text)),
				zap.ByteString("bytes", []byte(text)), zap.Object("object", evilText(text)), zap.Errors("errors", []error{errors.New(text)}))
			line := strings.TrimSuffix(out.String(), "\n")
			if !utf8.ValidString(line) || len(line) > 4<<20 {
				t.Errorf("%.80q: %d bytes", line, len(line))
			}
			for _, r := range line {
				if r != '\t' && unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) { // the console's columns
					t.Errorf("%.80q has %U in the log", text, r)
					break
				}
			}
		}
	}
}

func TestPlainFieldsAreLoggedAsTheyAre(t *testing.T) {
	t.Parallel()
	fields := []zapcore.Field{zap.String("a", "b"), zap.Int("n", 3), zap.Error(errors.New("x")), zap.Duration("d", time.Second)}
	if got := cleanFields(fields); &got[0] != &fields[0] {
		t.Error("what is clean is copied")
	}
	err := zap.Error(errors.New("panic: x\ngoroutine 1 [running]:\nmain.main()"))
	if clean, _ := cleanField(err); clean.Type == zapcore.StringType && !strings.Contains(clean.String, "\nmain.main()") {
		t.Errorf("the stack of a panic is lost: %q", clean.String)
	}
}
