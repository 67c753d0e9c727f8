import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.calcite.avatica.util.Casing;
import org.apache.calcite.avatica.util.Quoting;
import org.apache.calcite.sql.SqlNode;
import org.apache.calcite.sql.parser.SqlParser;
import org.apache.flink.sql.parser.ddl.SqlCreateTable;
import org.apache.flink.sql.parser.impl.FlinkSqlParserImpl;
import org.apache.flink.sql.parser.validate.FlinkSqlConformance;

/** Parses a file of Flink SQL by Flink's own parser; prints each table with its number of columns. Argument: a file. */
public final class CheckFlinkSql {
    public static void main(String[] arguments) throws Exception {
        SqlParser.Config config = SqlParser.config()
                .withParserFactory(FlinkSqlParserImpl.FACTORY)
                .withConformance(FlinkSqlConformance.DEFAULT)
                .withQuoting(Quoting.BACK_TICK)
                .withUnquotedCasing(Casing.UNCHANGED)
                .withQuotedCasing(Casing.UNCHANGED)
                .withIdentifierMaxLength(256);
        for (SqlNode statement : SqlParser.create(Files.readString(Path.of(arguments[0])), config).parseStmtList()) {
            SqlCreateTable table = (SqlCreateTable) statement;
            table.validate();
            System.out.println(table.getTableName() + " " + table.getColumnList().size());
        }
    }
}
