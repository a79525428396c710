import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { fromBinary, isFieldSet } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProtoSchema,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";

/** Writes docs/api.md out of the .proto files and their comments; `--check` only compares. */
const file = "docs/api.md";

/** Numbers of the fields that lead to an element in `SourceCodeInfo`: descriptor.proto of protobuf. */
const STEP = { message: 4, enum: 5, service: 6, method: 2, field: 2, value: 2 };

const set = execFileSync("node_modules/.bin/buf", ["build", "proto", "--as-file-descriptor-set", "-o", "-"], {
  maxBuffer: 64 * 1024 * 1024,
});
const files = fromBinary(FileDescriptorSetSchema, set).file.filter(({ name }) => !name.startsWith("google/"));

/** The comment before an element, on one line. */
function commentOf({ sourceCodeInfo }: FileDescriptorProto, ...path: readonly number[]): string {
  const found = sourceCodeInfo?.location.find((each) => each.path.join() === path.join());
  return (found?.leadingComments ?? "").trim().replaceAll(/\s*\n\s*/g, " ");
}

function serviceTexts(proto: FileDescriptorProto): string[] {
  return proto.service.map(({ name, method }, index) => {
    const calls = method.map((call, place) => {
      const stream = (isStream: boolean) => (isStream ? "stream of " : "");
      const types = [
        stream(call.clientStreaming) + linkTo(call.inputType),
        stream(call.serverStreaming) + linkTo(call.outputType),
      ];
      return row([`\`${call.name}\``, ...types, commentOf(proto, STEP.service, index, STEP.method, place)]);
    });
    const text = commentOf(proto, STEP.service, index);
    const head = ["| call | takes | gives | meaning |", "|---|---|---|---|"];
    return [`## ${proto.package}.${name}`, "", text, "", ...head, ...calls].join("\n");
  });
}

function messageTexts(proto: FileDescriptorProto): string[] {
  return proto.messageType.map((message, index) => {
    const fields = message.field.map((field, place) => {
      const choice =
        !isFieldSet(field, FieldDescriptorProtoSchema.field.oneofIndex) || field.proto3Optional
          ? ""
          : choiceOf(message, field.oneofIndex);
      const text = commentOf(proto, STEP.message, index, STEP.field, place);
      return row([`\`${field.name}\``, String(field.number), typeOf(message, field), text + choice]);
    });
    const head = fields.length === 0 ? ["No fields."] : ["| field | number | type | meaning |", "|---|---|---|---|"];
    const text = commentOf(proto, STEP.message, index);
    return [`### ${proto.package}.${message.name}`, "", text, "", ...head, ...fields].join("\n");
  });
}

function choiceOf({ oneofDecl }: DescriptorProto, index: number): string {
  return ` One of \`${oneofDecl[index]?.name}\`.`;
}

function enumTexts(proto: FileDescriptorProto): string[] {
  return proto.enumType.map((each: EnumDescriptorProto, index) => {
    const values = each.value.map(({ name, number }, place) =>
      row([`\`${name}\``, String(number), commentOf(proto, STEP.enum, index, STEP.value, place)]),
    );
    const head = ["| value | number | meaning |", "|---|---|---|"];
    return [`### ${proto.package}.${each.name}`, "", commentOf(proto, STEP.enum, index), "", ...head, ...values].join(
      "\n",
    );
  });
}

function typeOf(message: DescriptorProto, field: FieldDescriptorProto): string {
  const entry = message.nestedType.find(
    ({ name, options }) => options?.mapEntry && field.typeName.endsWith(`.${name}`),
  );
  if (entry !== undefined) {
    const [key, value] = entry.field;
    if (key !== undefined && value !== undefined) return `map of ${typeOf(entry, key)} to ${typeOf(entry, value)}`;
  }
  const isRepeated = field.label === Label.REPEATED;
  const name = field.typeName === "" ? (Type[field.type] ?? "?").toLowerCase() : linkTo(field.typeName);
  return `${isRepeated ? "repeated " : field.proto3Optional ? "optional " : ""}${name}`;
}

/** A type of ours leads to its section; one of protobuf's is only named. */
function linkTo(typeName: string): string {
  const name = typeName.replace(/^\./, "");
  const [proto] = files.filter(
    ({ package: of }) => name.startsWith(`${of}.`) && !name.slice(of.length + 1).includes("."),
  );
  if (proto === undefined) return `\`${name}\``;
  return `[${name.slice(proto.package.length + 1)}](#${name.toLowerCase().replaceAll(".", "")})`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

const text = `# API

What the daemon can be asked. Every call is there over Connect (JSON and binary), gRPC and gRPC-Web, on HTTP/1.1 and h2c,
at \`/<service>/<call>\` of every [door](doors.md): \`POST /vmprovisioner.v1.VmService/ListVms\` with \`{}\`, for example.
\`vmprovisioner.v1\` is metald's surface ([what is different](compatibility.md)); \`warder.v1\` has what that one lacks. The
\`.proto\` files are in \`proto/\`; there is no server reflection. An error carries a
[\`warder.v1.ErrorInfo\`](#warderv1errorinfo) with a stable [code](errors.md), a cure, and all fields that are wrong.

<!-- Made by \`npm run docs:wire\` out of proto/. -->

${files.flatMap(serviceTexts).join("\n\n")}

## Messages

${files.flatMap(messageTexts).join("\n\n")}

## Enums

${files.flatMap(enumTexts).join("\n\n")}
`;

if (!process.argv.includes("--check")) {
  await writeFile(file, text);
} else if ((await readFile(file, "utf8").catch(() => "")) !== text) {
  console.error(`${file} is not what proto/ says: run \`npm run docs:wire\``);
  process.exitCode = 1;
}
