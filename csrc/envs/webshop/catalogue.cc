#include "envs/webshop/catalogue.h"

#include <bit>
#include <unordered_map>

#include "envs/webshop/index_builder.h"
#include "envs/webshop/loader.h"
#include "envs/webshop/record.h"
#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

constexpr size_t kMaxProblems = 20, kMaxAsin = 10;
constexpr std::string_view kNoAttribute = "DUMMY_ATTR";  // upstream's word for products that the attributes file does not know

bool is_asin(std::string_view asin) { return asin != "nan" && num_code_points(asin) <= kMaxAsin; }

class Builder {
 public:
  explicit Builder(const BuildRequest& request) : request_(request) {}

  BuildReport run() {
    read_attributes();
    if (!request_.human.empty()) read_human();
    StoreWriter out(request_.store);
    out.begin(Section::kSource);
    out.write(request_.source);
    out.end();
    write_products(out);
    out.put(Section::kRecordOffsets, std::span<const uint64_t>(offsets_));
    out.put(Section::kAsinSlots, std::span<const uint32_t>(slots()));
    index_.write(out);
    out.finish();
    report_.products = offsets_.size() - 1;
    report_.terms = index_.num_terms();
    report_.postings = index_.num_postings();
    return report_;
  }

 private:
  void blame(const JsonStream& in, uint64_t position, const std::string& what) {
    if (request_.is_strict) throw FileError(in.path(), position, what);
    ++report_.malformed;
    if (report_.problems.size() < kMaxProblems) report_.problems.push_back(FileError(in.path(), position, what).what());
  }

  void read_attributes() {
    JsonStream in(request_.attributes);
    AttributeRow row;
    std::string problem;
    RecordWriter packed;
    in.each_member([&](std::string_view asin) {
      uint64_t position = in.position();
      if (!read_attribute_row(in, row, problem)) return blame(in, position, "attributes of '" + std::string(asin) + "': " + problem);
      if (!is_asin(asin)) return;
      packed.clear();
      if (!row.has_attributes) row.attributes.assign(1, std::string(kNoAttribute));
      packed.texts(row.attributes);
      packed.number(row.has_instruction);
      if (row.has_instruction) packed.text(row.instruction), packed.texts(row.instruction_attributes);
      attributes_.insert_or_assign(std::string(asin), std::string(packed.bytes()));
    });
    in.expect_end();
  }

  void read_human() {
    JsonStream in(request_.human);
    std::vector<HumanRow> rows;
    std::string problem;
    RecordWriter packed;
    in.each_member([&](std::string_view asin) {
      uint64_t position = in.position();
      if (!read_human_rows(in, rows, problem)) blame(in, position, "instructions for '" + std::string(asin) + "': " + problem);
      packed.clear();
      packed.number(rows.size());
      for (const HumanRow& row : rows) {
        packed.text(row.instruction);
        packed.texts(row.attributes);
        packed.number(row.has_groups);
        packed.number(row.options.size());
        for (const auto& [group, value] : row.options) packed.text(group), packed.text(value);
      }
      human_.insert_or_assign(std::string(asin), std::string(packed.bytes()));
    });
    in.expect_end();
  }

  void write_products(StoreWriter& out) {
    JsonStream in(request_.items);
    if (in.peek() != JsonKind::kArray) in.fail("expected a list of products");
    ItemReader reader;
    Item item;
    out.begin(Section::kRecords);
    in.each_element([&] {
      if (request_.max_products >= 0 && report_.rows >= static_cast<uint64_t>(request_.max_products)) return in.skip();
      uint64_t position = in.position();
      reader.read(in, item);
      if (++report_.rows % 1000 == 0 && request_.progress) request_.progress(report_.rows);
      if (!item.problem.empty()) return blame(in, position, "row " + std::to_string(report_.rows) + ": " + item.problem);
      if (!is_asin(item.asin)) {
        ++report_.bad_asins;
        return;
      }
      if (!asins_.emplace(item.asin, static_cast<uint32_t>(offsets_.size() - 1)).second) {
        ++report_.duplicates;
        return;
      }
      report_.repaired += item.is_repaired;
      write_product(item);
      out.write(record_.bytes());
      offsets_.push_back(out.section_bytes());
    });
    out.end();
    in.expect_end();
    if (offsets_.size() >= UINT32_MAX) throw FileError(request_.items, 0, "more products than 32 bits number");
  }

  void write_product(const Item& item) {
    record_.clear();
    for (const std::string* text : {&item.asin, &item.name, &item.price_tag, &item.image, &item.category, &item.description, &item.query, &item.product_category})
      record_.text(*text);
    record_.real(item.price_low);
    record_.real(item.price_high);
    record_.number(item.is_range);
    record_.texts(item.bullets);
    record_.number(item.groups.size());
    for (const Item::Group& group : item.groups) {
      record_.text(group.name);
      record_.number(group.options.size());
      for (const Item::Option& option : group.options) record_.text(option.text), record_.text(option.image);
    }
    auto known = attributes_.find(item.asin);
    std::vector<std::string> attributes;
    if (known != attributes_.end()) {
      record_.raw(known->second);
      std::vector<std::string_view> views;
      RecordReader(known->second).texts(views);
      attributes.assign(views.begin(), views.end());
    } else {
      attributes.emplace_back(kNoAttribute);
      record_.texts(attributes);
      record_.number(0);
    }
    auto instructions = human_.find(item.asin);
    if (instructions != human_.end()) record_.raw(instructions->second);
    else record_.number(0);
    index_product(item, attributes);
  }

  void index_product(const Item& item, const std::vector<std::string>& attributes) {
    contents_ = item.name + ' ' + item.description + ' ' + item.bullets[0] + ' ';
    for (size_t i = 0; i < item.groups.size(); ++i) {
      if (i) contents_ += ", and ";
      contents_ += item.groups[i].name + ": ";
      for (size_t j = 0; j < item.groups[i].options.size(); ++j) {
        if (j) contents_ += ", ";
        contents_ += item.groups[i].options[j].text;
      }
    }
    lowered_.clear();
    append_lower(lowered_, contents_);
    index_.add(lowered_, item.category, item.query, attributes);
  }

  std::vector<uint32_t> slots() const {
    std::vector<uint32_t> table(std::bit_ceil(2 * asins_.size() + 1));
    for (const auto& [asin, number] : asins_) {
      size_t slot = hash_text(asin) & (table.size() - 1);
      while (table[slot]) slot = (slot + 1) & (table.size() - 1);
      table[slot] = number + 1;
    }
    return table;
  }

  const BuildRequest& request_;
  BuildReport report_;
  std::unordered_map<std::string, std::string> attributes_, human_;
  std::unordered_map<std::string, uint32_t> asins_;
  std::vector<uint64_t> offsets_{0};
  IndexBuilder index_;
  RecordWriter record_;
  std::string contents_, lowered_;
};

void read_card(RecordReader& in, Product& out) {
  out.asin = in.text();
  out.name = in.text();
  out.price_tag = in.text();
  out.image = in.text();
  out.category = in.text();
}

void read_product(RecordReader& in, Product& out) {
  read_card(in, out);
  out.description = in.text();
  out.query = in.text();
  out.product_category = in.text();
  out.price_low = in.real();
  out.price_high = in.real();
  out.is_range = in.number() != 0;
  in.texts(out.bullets);
  out.groups.clear();
  out.values.clear();
  for (uint64_t left = in.number(); left; --left) {
    std::string_view name = in.text();
    auto first = static_cast<uint32_t>(out.values.size());
    for (uint64_t values = in.number(); values; --values) {
      std::string_view text = in.text();
      out.values.push_back({text, in.text()});
    }
    out.groups.push_back({name, first, static_cast<uint32_t>(out.values.size()) - first});
  }
  in.texts(out.attributes);
}

}  // namespace

BuildReport Catalogue::build(const BuildRequest& request) { return Builder(request).run(); }

Catalogue::Catalogue(const std::string& path) : store_(path) {
  std::span<const uint64_t> offsets = store_.values<uint64_t>(Section::kRecordOffsets);
  std::span<const uint32_t> slots = store_.values<uint32_t>(Section::kAsinSlots);
  bool is_sound = !offsets.empty() && offsets.size() - 1 < UINT32_MAX && std::has_single_bit(slots.size()) && slots.size() >= offsets.size() &&
                  store_.values<uint32_t>(Section::kDocLengths).size() == offsets.size() - 1;
  if (!is_sound) throw StoreError(path + " is altered: its products do not add up");
  size_ = static_cast<uint32_t>(offsets.size() - 1);
}

std::string_view Catalogue::record(uint32_t index) const {
  if (index >= size_)
    throw std::invalid_argument("product " + std::to_string(index) + " of a catalogue of " + std::to_string(size_));
  std::span<const uint64_t> offsets = store_.values<uint64_t>(Section::kRecordOffsets);
  std::string_view all = store_.bytes(Section::kRecords);
  if (offsets[index] > offsets[index + 1] || offsets[index + 1] > all.size()) throw StoreError(store_.path() + " is altered: a product lies outside");
  return all.substr(offsets[index], offsets[index + 1] - offsets[index]);
}

void Catalogue::product(uint32_t index, Product& out) const {
  RecordReader in(record(index));
  read_product(in, out);
}

void Catalogue::card(uint32_t index, Product& out) const {
  RecordReader in(record(index));
  read_card(in, out);
}

void Catalogue::instructions(uint32_t index, Instructions& out) const {
  RecordReader in(record(index));
  Product product;
  read_product(in, product);
  out.synthetic.reset();
  out.human.clear();
  if (in.number()) {
    Instruction& made = out.synthetic.emplace();
    made.text = in.text();
    in.texts(made.attributes);
  }
  for (uint64_t left = in.number(); left; --left) {
    Instruction& said = out.human.emplace_back();
    said.text = in.text();
    in.texts(said.attributes);
    said.has_groups = in.number() != 0;
    for (uint64_t options = in.number(); options; --options) {
      std::string_view group = in.text();
      said.options.emplace_back(group, in.text());
    }
  }
}

std::optional<uint32_t> Catalogue::find(std::string_view asin) const {
  std::span<const uint32_t> slots = store_.values<uint32_t>(Section::kAsinSlots);
  for (size_t slot = hash_text(asin) & (slots.size() - 1), tried = 0; slots[slot] && tried < slots.size();
       slot = (slot + 1) & (slots.size() - 1), ++tried) {
    RecordReader in(record(slots[slot] - 1));
    if (in.text() == asin) return slots[slot] - 1;
  }
  return std::nullopt;
}

}  // namespace vldac::webshop
