// Files of parquet-go and of Arrow for Go: go run . ROWS.json FOLDER.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/parquet-go/parquet-go"
)

type response struct {
	PromptID string `parquet:"prompt_id" json:"prompt_id"`
	Prompt   string `parquet:"prompt" json:"prompt"`
	Response string `parquet:"response" json:"response"`
	Policy   string `parquet:"policy" json:"policy"`
}

type responseBytes struct {
	PromptID []byte `parquet:"prompt_id"`
	Prompt   []byte `parquet:"prompt"`
	Response []byte `parquet:"response"`
	Policy   []byte `parquet:"policy"`
}

type responseEnum struct {
	PromptID string `parquet:"prompt_id"`
	Prompt   string `parquet:"prompt,dict"`
	Response string `parquet:"response,snappy"`
	Policy   string `parquet:"policy,enum"`
}

type responseUUID struct {
	PromptID [16]byte `parquet:"prompt_id,uuid"`
	Prompt   string   `parquet:"prompt"`
	Response string   `parquet:"response"`
	Policy   string   `parquet:"policy"`
}

type responseJSON struct {
	PromptID string `parquet:"prompt_id"`
	Prompt   string `parquet:"prompt,json"`
	Response string `parquet:"response"`
	Policy   string `parquet:"policy"`
}

type responseNumber struct {
	PromptID uint32 `parquet:"prompt_id"`
	Prompt   string `parquet:"prompt,delta"`
	Response string `parquet:"response,zstd"`
	Policy   string `parquet:"policy,gzip"`
}

type responseTime struct {
	PromptID string    `parquet:"prompt_id"`
	Prompt   string    `parquet:"prompt"`
	Response time.Time `parquet:"response,timestamp"`
	Policy   string    `parquet:"policy"`
}

type responseDate struct {
	PromptID string `parquet:"prompt_id"`
	Prompt   string `parquet:"prompt"`
	Response int32  `parquet:"response,date"`
	Policy   string `parquet:"policy"`
}

type responseDuration struct {
	PromptID string        `parquet:"prompt_id"`
	Prompt   string        `parquet:"prompt"`
	Response time.Duration `parquet:"response"`
	Policy   string        `parquet:"policy"`
}

type responseFixed struct {
	PromptID string  `parquet:"prompt_id"`
	Prompt   string  `parquet:"prompt"`
	Response [5]byte `parquet:"response"`
	Policy   [5]byte `parquet:"policy"`
}

type score struct {
	PromptID string  `parquet:"prompt_id" json:"prompt_id"`
	Policy   string  `parquet:"policy" json:"policy"`
	Sample   int32   `parquet:"sample" json:"sample"`
	Score    float64 `parquet:"score" json:"score"`
}

type scoreFloat struct {
	PromptID string  `parquet:"prompt_id"`
	Policy   string  `parquet:"policy,enum"`
	Sample   int64   `parquet:"sample"`
	Score    float32 `parquet:"score,split"`
}

type scoreDecimal struct {
	PromptID string `parquet:"prompt_id"`
	Policy   string `parquet:"policy"`
	Sample   uint8  `parquet:"sample"`
	Score    int64  `parquet:"score,decimal(2:18)"`
}

type scoreText struct {
	PromptID string `parquet:"prompt_id"`
	Policy   string `parquet:"policy"`
	Score    string `parquet:"score"`
}

type battle struct {
	ModelA string `parquet:"model_a" json:"model_a"`
	ModelB string `parquet:"model_b" json:"model_b"`
	Winner string `parquet:"winner" json:"winner"`
}

type battleEnum struct {
	ModelA string `parquet:"model_a,enum"`
	ModelB string `parquet:"model_b,enum"`
	Winner string `parquet:"winner,enum"`
}

type battleBytes struct {
	ModelA []byte `parquet:"model_a"`
	ModelB []byte `parquet:"model_b"`
	Winner []byte `parquet:"winner"`
}

type turn struct {
	Role    string `parquet:"role" json:"role"`
	Content string `parquet:"content" json:"content"`
}

type chat struct {
	PromptID string `parquet:"prompt_id" json:"prompt_id"`
	Policy   string `parquet:"policy" json:"policy"`
	Messages []turn `parquet:"messages" json:"messages"`
}

type chatList struct {
	PromptID string `parquet:"prompt_id"`
	Policy   string `parquet:"policy"`
	Messages []turn `parquet:"messages,list"`
}

type turnEnum struct {
	Role    string `parquet:"role,enum"`
	Content []byte `parquet:"content"`
}

type chatEnum struct {
	PromptID string     `parquet:"prompt_id"`
	Policy   string     `parquet:"policy"`
	Messages []turnEnum `parquet:"messages,list"`
}

type chatMap struct {
	PromptID string              `parquet:"prompt_id"`
	Policy   string              `parquet:"policy"`
	Messages []map[string]string `parquet:"messages,list"`
}

type pair struct {
	PromptID string `parquet:"prompt_id" json:"prompt_id"`
	Chosen   []turn `parquet:"chosen,list" json:"chosen"`
	Rejected []turn `parquet:"rejected,list" json:"rejected"`
}

type scored struct {
	PromptID  string  `parquet:"prompt_id" json:"prompt_id"`
	Prompt    string  `parquet:"prompt" json:"prompt"`
	Response  string  `parquet:"response" json:"response"`
	Policy    string  `parquet:"policy" json:"policy"`
	Score     float64 `parquet:"score" json:"score"`
	NumTokens uint16  `parquet:"num_tokens" json:"num_tokens"`
	Truncated bool    `parquet:"truncated" json:"truncated"`
}

var folder string
var failures = []string{}

func save[T any](name string, rows []T, options ...parquet.WriterOption) {
	if err := parquet.WriteFile(filepath.Join(folder, name), rows, options...); err != nil {
		failures = append(failures, fmt.Sprintf("%s: %v", name, err))
	}
}

func each[T, U any](rows []T, change func(T) U) []U {
	out := []U{}
	for _, row := range rows {
		out = append(out, change(row))
	}
	return out
}

func load[T any](shared map[string]json.RawMessage, name string) []T {
	var rows []T
	if err := json.Unmarshal(shared[name], &rows); err != nil {
		panic(err)
	}
	return rows
}

// saveArrow writes a record batch by Arrow's own IPC and Parquet writers.
func saveArrow(name string, rows []response, types []arrow.DataType) {
	fields := []arrow.Field{}
	for i, column := range []string{"prompt_id", "prompt", "response", "policy"} {
		fields = append(fields, arrow.Field{Name: column, Type: types[i], Nullable: true})
	}
	schema := arrow.NewSchema(fields, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for _, row := range rows {
		for i, text := range []string{row.PromptID, row.Prompt, row.Response, row.Policy} {
			if err := builder.Field(i).AppendValueFromString(text); err != nil {
				failures = append(failures, fmt.Sprintf("%s: %v", name, err))
				return
			}
		}
	}
	record := builder.NewRecordBatch()
	file, err := os.Create(filepath.Join(folder, name))
	if err != nil {
		panic(err)
	}
	if filepath.Ext(name) == ".arrow" {
		writer, err := ipc.NewFileWriter(file, ipc.WithSchema(schema))
		if err == nil {
			err = writer.Write(record)
		}
		if err == nil {
			err = writer.Close()
		}
		if err != nil {
			failures = append(failures, fmt.Sprintf("%s: %v", name, err))
		}
		return
	}
	writer, err := pqarrow.NewFileWriter(schema, file, nil, pqarrow.DefaultWriterProps())
	if err == nil {
		err = writer.Write(record)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		failures = append(failures, fmt.Sprintf("%s: %v", name, err))
		os.Remove(filepath.Join(folder, name))
	}
}

func main() {
	folder = os.Args[2]
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var shared map[string]json.RawMessage
	if err := json.Unmarshal(data, &shared); err != nil {
		panic(err)
	}
	responses := load[response](shared, "responses")
	save("text.parquet", responses)
	save("text_bytes.parquet", each(responses, func(r response) responseBytes {
		return responseBytes{[]byte(r.PromptID), []byte(r.Prompt), []byte(r.Response), []byte(r.Policy)}
	}))
	save("policy_enum.parquet", each(responses, func(r response) responseEnum { return responseEnum(r) }))
	number := func(r response) byte { return r.PromptID[1] - '0' }
	save("id_uuid.parquet", each(responses, func(r response) responseUUID {
		return responseUUID{[16]byte{15: number(r)}, r.Prompt, r.Response, r.Policy}
	}))
	save("id_uint32.parquet", each(responses, func(r response) responseNumber {
		return responseNumber{uint32(number(r)), r.Prompt, r.Response, r.Policy}
	}))
	save("prompt_json.parquet", each(responses, func(r response) responseJSON {
		text, _ := json.Marshal([]turn{{"user", r.Prompt}})
		return responseJSON{r.PromptID, string(text), r.Response, r.Policy}
	}))
	moment := time.Date(2026, 11, 30, 13, 5, 0, 0, time.UTC)
	save("response_time.parquet", each(responses, func(r response) responseTime {
		return responseTime{r.PromptID, r.Prompt, moment, r.Policy}
	}))
	save("response_date.parquet", each(responses, func(r response) responseDate {
		return responseDate{r.PromptID, r.Prompt, 20787, r.Policy}
	}))
	save("response_duration.parquet", each(responses, func(r response) responseDuration {
		return responseDuration{r.PromptID, r.Prompt, time.Minute, r.Policy}
	}))
	save("text_fixed.parquet", each(load[response](shared, "fixed"), func(r response) responseFixed {
		return responseFixed{r.PromptID, r.Prompt, [5]byte([]byte(r.Response)), [5]byte([]byte(r.Policy))}
	}))
	scores := load[score](shared, "scores")
	save("scores.parquet", scores)
	save("scores_v1.parquet", scores, parquet.DataPageVersion(1))
	save("scores_float.parquet", each(scores, func(s score) scoreFloat {
		return scoreFloat{s.PromptID, s.Policy, int64(s.Sample), float32(s.Score)}
	}))
	save("scores_decimal.parquet", each(scores, func(s score) scoreDecimal {
		return scoreDecimal{s.PromptID, s.Policy, uint8(s.Sample), int64(s.Score * 100)}
	}))
	save("scores_text.parquet", each(scores, func(s score) scoreText { return scoreText{s.PromptID, s.Policy, fmt.Sprint(s.Score)} }))
	battles := load[battle](shared, "battles")
	save("battles.parquet", battles)
	save("battles_enum.parquet", each(battles, func(b battle) battleEnum { return battleEnum(b) }))
	save("battles_bytes.parquet", each(battles, func(b battle) battleBytes {
		return battleBytes{[]byte(b.ModelA), []byte(b.ModelB), []byte(b.Winner)}
	}))
	chats := load[chat](shared, "chats")
	save("messages_repeated.parquet", chats)
	save("messages_list.parquet", each(chats, func(c chat) chatList { return chatList(c) }))
	save("messages_enum.parquet", each(chats, func(c chat) chatEnum {
		return chatEnum{c.PromptID, c.Policy, each(c.Messages, func(t turn) turnEnum { return turnEnum{t.Role, []byte(t.Content)} })}
	}))
	save("messages_map.parquet", each(chats, func(c chat) chatMap {
		return chatMap{c.PromptID, c.Policy, each(c.Messages, func(t turn) map[string]string {
			return map[string]string{"role": t.Role, "content": t.Content}
		})}
	}))
	save("pairs.parquet", load[pair](shared, "pairs"))
	save("scored.parquet", load[scored](shared, "scored"))

	text, large, view := arrow.BinaryTypes.String, arrow.BinaryTypes.LargeString, arrow.BinaryTypes.StringView
	runs := arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int32, text)
	dictionary := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint16, ValueType: text}
	for _, extension := range []string{"arrow", "parquet"} {
		saveArrow("arrow_text."+extension, responses, []arrow.DataType{text, large, text, text})
		saveArrow("arrow_view."+extension, responses, []arrow.DataType{view, view, view, view})
		saveArrow("arrow_run_end."+extension, responses, []arrow.DataType{text, text, text, runs})
		saveArrow("arrow_dictionary."+extension, responses, []arrow.DataType{text, text, text, dictionary})
	}
	out, _ := json.Marshal(failures)
	fmt.Println(string(out))
}
